;; Takes a handle again and again and gives none back.
(data (i32.const 1024) "partners")
(func $evil (param i32 i32) (result i32)
  (loop $again (call $get-list (i32.const 1024) (i32.const 8) (i32.const 96)) (br $again))
  (unreachable))
