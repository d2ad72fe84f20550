package director_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/ipvsd/ipvsd/checker"
	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/director/kerneltest"
)

// Loads are those of Status, the fallback in use included, which isn't a real
// server of the file.
func TestLoads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := runBench(t, kerneltest.New(), webConfig(true))
		for _, state := range []checker.State{checker.Up, checker.Down} {
			b.checks.say(pair(web1), state, "the first one")
			b.checks.say(pair(web2), checker.Down, "connection refused")
			synctest.Wait()
			st := b.d.Status(context.Background())
			got := b.d.Loads(context.Background())
			if diff := cmp.Diff(director.LoadsOf(&st), got); diff != "" {
				t.Errorf("the first one is %v (-status +loads):\n%s", state, diff)
			}
			want := map[checker.State]int{checker.Up: 2, checker.Down: 3}[state]
			if n := len(got.Virtuals[0].Reals); n != want {
				t.Errorf("the first one is %v: %d real servers, want %d", state, n, want)
			}
		}
	})
}
