(component (import "wasi:sockets/instance-network@0.2.6" (instance)))
