;; Traps before anybody called it.
(func $begin (unreachable))
(start $begin)
