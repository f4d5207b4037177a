;; Built against a contract this host does not speak.
(component
  (import "sealwire:policy/facts@0.9.0" (instance (export "now" (func (result u64)))))
  (component $none)
  (instance $hooks (instantiate $none))
  (export "sealwire:policy/hooks@0.9.0" (instance $hooks)))
