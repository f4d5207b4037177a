;; Hands over 200,000 octets as the text of a reply.
(data (i32.const 1024) "5.7.1")
(func $evil (param i32) (param $verdict i32) (result i32)
  (memory.fill (i32.const 2048) (i32.const 120) (i32.const 200000))
  (call $reject (local.get $verdict) (i32.const 550) (i32.const 1024) (i32.const 5) (i32.const 2048) (i32.const 200000))
  (call $conclude (local.get $verdict))
  (call $ok))
