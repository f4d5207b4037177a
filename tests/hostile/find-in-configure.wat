;; Searches a list in configure: the answer would be frozen, and an edit of the list go unseen.
(data (i32.const 1024) "partners")
(func $configure (param i32 i32) (result i32)
  (call $get-list (i32.const 1024) (i32.const 8) (i32.const 96))
  (call $find (i32.load (i32.const 100)) (i32.const 1024) (i32.const 8) (i32.const 1024) (i32.const 8) (i32.const 112))
  (call $drop-list (i32.load (i32.const 100)))
  (call $ok))
