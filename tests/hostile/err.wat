;; Returns err, in words that would forge a log line.
(data (i32.const 80) "\01\00\00\00\00\04\00\00\15\00\00\00")
(data (i32.const 1024) "I would\nrather not OK")
(func $evil (param i32 i32) (result i32) (i32.const 80))
