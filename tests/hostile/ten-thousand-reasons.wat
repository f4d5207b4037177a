;; Explains itself ten thousand times.
(data (i32.const 1024) "R1")
(func $evil (param i32) (param $verdict i32) (result i32)
  (local $given i32)
  (loop $again
    (call $because (local.get $verdict) (i32.const 1024) (i32.const 2) (i32.const 1024) (i32.const 2)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
    (local.set $given (i32.add (local.get $given) (i32.const 1)))
    (br_if $again (i32.lt_u (local.get $given) (i32.const 10000))))
  (call $conclude (local.get $verdict))
  (call $ok))
