package quota

import "errors"

// Error is the fault as one line, so that a list of them can be joined.
func (f Fault) Error() string { return f.Path + ": " + f.Problem }

// join makes one error of faults; nil if there are none.
func join(faults []Fault) error {
	errs := make([]error, len(faults))
	for i, f := range faults {
		errs[i] = f
	}
	return errors.Join(errs...)
}
