(component (import "evil:thing/doors@1.0.0" (instance)))
