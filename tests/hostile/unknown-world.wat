;; Exports what the contract does not have, and not what it must.
(component
  (component $none)
  (instance $filters (instantiate $none))
  (export "sealwire:policy/filters@1.0.0-rc.2" (instance $filters)))
