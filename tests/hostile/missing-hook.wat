;; Exports hooks of the right name and version, with nothing in it.
(component
  (component $none)
  (instance $hooks (instantiate $none))
  (export "sealwire:policy/hooks@1.0.0-rc.2" (instance $hooks)))
