;; Asks for header fields nobody has, under ever new names, to fill the ledger.
(func $evil (param $message i32) (param i32) (result i32)
  (local $n i32)
  (loop $again
    (i32.store8 (i32.const 1024) (i32.add (i32.const 48) (i32.and (local.get $n) (i32.const 15))))
    (i32.store8 (i32.const 1025) (i32.add (i32.const 48) (i32.and (i32.shr_u (local.get $n) (i32.const 4)) (i32.const 15))))
    (i32.store8 (i32.const 1026) (i32.add (i32.const 48) (i32.and (i32.shr_u (local.get $n) (i32.const 8)) (i32.const 15))))
    (i32.store8 (i32.const 1027) (i32.add (i32.const 48) (i32.and (i32.shr_u (local.get $n) (i32.const 12)) (i32.const 15))))
    (call $header (local.get $message) (i32.const 1024) (i32.const 4) (i32.const 96))
    (local.set $n (i32.add (local.get $n) (i32.const 1)))
    (br $again))
  (unreachable))
