package main

import (
	"errors"
	"fmt"
	"os"
)

// stage is the lab's test, for a program: what went up is taken down at the end.
type stage struct {
	cleanups []func()
}

// failure is what Fatalf panics with; try recovers it.
type failure string

func (s *stage) Helper() {}

func (s *stage) Logf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

func (s *stage) Cleanup(f func()) { s.cleanups = append(s.cleanups, f) }

func (s *stage) Fatalf(format string, args ...any) { panic(failure(fmt.Sprintf(format, args...))) }

// try runs f and returns what it failed with.
func (s *stage) try(f func()) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case failure:
			err = errors.New(string(r))
		default:
			panic(r)
		}
	}()
	f()
	return nil
}

// must ends the measurement where something failed that has to work.
func (s *stage) must(err error) {
	if err != nil {
		s.Fatalf("%v", err)
	}
}

// strike takes down what went up, the last first.
func (s *stage) strike() {
	for i := len(s.cleanups) - 1; i >= 0; i-- {
		s.cleanups[i]()
	}
	s.cleanups = nil
}
