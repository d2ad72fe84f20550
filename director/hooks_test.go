package director

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ipvsd/ipvsd/cluster"
	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/hook"
)

func TestRoleHook(t *testing.T) {
	c := &config.Cluster{Hooks: config.RoleHooks{
		Active: "/bin/moved\x00here now",
		Pace:   config.Pace{Timeout: time.Second, Retries: 2, RetryInterval: time.Minute},
	}}
	call := roleHook(c, "lb1", cluster.Event{Group: "web", From: cluster.Standby, To: cluster.Active, Term: 7, Holder: "lb1"})
	want := hook.Program{Argv: []string{"/bin/moved", "here now"}, Timeout: time.Second, Retries: 2, Pause: time.Minute}
	if diff := cmp.Diff(want, call.Program); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if call.Object != "group web" || call.Before != "standby" || call.State != "active" || call.Event != "active" {
		t.Errorf("%+v", call)
	}
	for _, e := range []string{"IPVSD_GROUP=web", "IPVSD_ROLE=active", "IPVSD_NAME=lb1", "IPVSD_HOLDER=lb1", "IPVSD_TERM=7"} {
		if !slices.Contains(call.Env, e) {
			t.Errorf("no %s in %q", e, call.Env)
		}
	}
	if call := roleHook(c, "lb1", cluster.Event{Group: "web", From: cluster.Active, To: cluster.Fault}); call.Program.Argv != nil || call.State != "fault" {
		t.Errorf("without a program: %+v", call)
	}
}
