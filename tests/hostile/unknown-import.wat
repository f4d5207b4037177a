;; Wants a database.
(component
  (import "acme:db/query@1.0.0" (instance (export "run" (func (param "sql" string) (result string)))))
  (import "wasi:sockets/tcp-create-socket@0.2.0" (instance)))
