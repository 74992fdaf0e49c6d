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
	name        string
	bound, rest time.Duration
	undo        func(context.Context) error
}

// push adds a step whose context ends after bound; it then has rest to return.
func (s *stack) push(name string, bound, rest time.Duration, undo func(context.Context) error) {
	s.steps = append(s.steps, step{name, bound, rest, undo})
}

// unwind runs every step, each within its own bounds and ctx, whatever those
// before it returned, and joins their errors under their names: late is what did
// not end in time, which is no fault of the steps. A second call does nothing.
func (s *stack) unwind(ctx context.Context) (late, fault error) {
	for i := len(s.steps) - 1; i >= 0; i-- {
		for _, err := range parts(s.steps[i].run(ctx)) {
			err = fmt.Errorf("stop %s: %w", s.steps[i].name, err)
			if errors.Is(err, context.DeadlineExceeded) {
				late = errors.Join(late, err)
			} else {
				fault = errors.Join(fault, err)
			}
		}
	}
	s.steps = nil
	return late, fault
}

// run runs the step and leaves it to itself when its time is over, so that the
// steps after it have theirs.
func (st *step) run(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, st.bound)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- st.undo(bounded) }()
	over := time.NewTimer(st.bound + st.rest)
	defer over.Stop()
	select {
	case err := <-ended:
		return err
	case <-over.C:
		return fmt.Errorf("it does not end: %w", context.DeadlineExceeded)
	}
}

// parts are the errors that err joins, itself if it joins none, none for nil.
func parts(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, parts(e)...)
	}
	return all
}
