;; Declares 125 MiB before it has said a word.
(memory (export "memory") 2000)
