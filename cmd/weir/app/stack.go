package app

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// stack is what has to be undone, last in, first out.
type stack struct{ steps []step }

type step struct {
	name  string
	bound time.Duration
	undo  func(context.Context) error
}

// push adds a step that has at most bound to end.
func (s *stack) push(name string, bound time.Duration, undo func(context.Context) error) {
	s.steps = append(s.steps, step{name, bound, undo})
}

// unwind runs every step, each within its own bound and ctx, whatever those
// before it returned, and joins their errors under their names. A second call
// does nothing.
func (s *stack) unwind(ctx context.Context) error {
	var errs []error
	for i := len(s.steps) - 1; i >= 0; i-- {
		st := s.steps[i]
		bounded, cancel := context.WithTimeout(ctx, st.bound)
		if err := st.undo(bounded); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", st.name, err))
		}
		cancel()
	}
	s.steps = nil
	return errors.Join(errs...)
}
