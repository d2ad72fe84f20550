package main

import (
	"context"
	"fmt"
	"sync"
)

// group runs the daemon's loops. The first that fails stops all.
type group struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup
}

func newGroup(ctx context.Context, cancel context.CancelCauseFunc) *group {
	return &group{ctx: ctx, cancel: cancel}
}

func (g *group) run(name string, loop func(context.Context) error) {
	g.wg.Go(func() {
		if err := loop(g.ctx); err != nil {
			g.cancel(fmt.Errorf("%s: %w", name, err))
		}
	})
}

func (g *group) wait() { g.wg.Wait() }
