package director

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ipvsd/ipvsd/cluster"
	"github.com/ipvsd/ipvsd/cluster/core"
	"github.com/ipvsd/ipvsd/director/journal"
)

// lookAt is a cluster of lb1, this one, and lb2, that lb1 holds; change makes it
// another one.
func lookAt(change func(*ClusterLook)) ClusterLook {
	at := time.Unix(1e9, 0)
	l := ClusterLook{
		Addresses: []AddressStatus{{Address: "192.0.2.10/32", Interface: "eth0", State: AddressAdded, Since: at}},
		Cluster: &ClusterStatus{
			Name: "lb1",
			Members: []MemberStatus{
				{Name: "lb1", State: "alive", Self: true, Since: at},
				{Name: "lb2", State: "alive", Since: at},
				{Address: "192.0.2.5:7946", State: "absent"},
			},
			Groups: []ClusterGroupStatus{{Name: "default", State: "active", Holder: "lb1", Since: at}},
			Sync:   SyncStatus{Enabled: true, Running: true, Interface: "eth0"},
		},
	}
	if change != nil {
		change(&l)
	}
	return l
}

func TestObserved(t *testing.T) {
	elsewhere := func(l *ClusterLook) {
		l.Addresses[0] = AddressStatus{Address: "192.0.2.10/32", State: AddressElsewhere, Holder: "lb2"}
		l.Cluster.Groups[0].Holder, l.Cluster.Groups[0].Reason = "lb2", "handed over by lb1"
	}
	silent := func(l *ClusterLook) { l.Cluster.Members[1].State = "silent" }
	note := func(text string) func(*ClusterLook) {
		return func(l *ClusterLook) { l.Cluster.Notes = []string{text} }
	}
	fault := func(text string) func(*ClusterLook) {
		return func(l *ClusterLook) { l.Addresses[0].State, l.Addresses[0].Error = AddressMissing, text }
	}
	for _, tt := range []struct {
		name        string
		before, now func(*ClusterLook)
		want        []string
	}{
		{"nothing", nil, nil, nil},
		{"a director falls silent", nil, silent, []string{"member alive -> silent: director lb2 is silent: no advert from it comes."}},
		{"and is dead", silent, func(l *ClusterLook) { l.Cluster.Members[1].State = "dead" }, []string{"member silent -> dead: director lb2 is dead: it fell silent and answers nothing."}},
		{"and is back", silent, nil, []string{"member silent -> alive: director lb2 is there."}},
		{"one says goodbye", nil, func(l *ClusterLook) { l.Cluster.Members[1].State = "left" }, []string{"member alive -> left: director lb2 said goodbye."}},
		{"a new one", func(l *ClusterLook) { l.Cluster.Members = l.Cluster.Members[:1] }, nil, []string{"member  -> alive: director lb2 is there."}},
		{"it differs", nil, func(l *ClusterLook) { l.Cluster.Members[1].Skew = true }, []string{
			"member the same file -> another file: director lb2 runs another file than this one: virtual services, real servers, checks or addresses differ.",
		}},
		{"no more", func(l *ClusterLook) { l.Cluster.Members[1].Skew = true }, nil, []string{"member another file -> the same file: director lb2 runs the same file again."}},
		{"the address goes away", nil, elsewhere, []string{
			"address added -> elsewhere: the address 192.0.2.10/32 is on lb2.",
			"role lb1 -> lb2: lb2 holds group default, which lb1 held before.",
		}},
		{"and comes back", elsewhere, func(l *ClusterLook) {
			l.Cluster.Groups[0].Last = &FailoverStatus{At: time.Unix(1e9, 0), From: "lb2", Reason: "no advert from lb2 for 540 ms", Suspected: .3, Decided: .541, AddressUp: .55, Announced: .553}
		}, []string{
			"address elsewhere -> added: the address 192.0.2.10/32 is on eth0, by us.",
			"failover lb2 -> : the addresses of group default are up here, 553 ms after lb2 was last heard: no advert from lb2 for 540 ms.",
		}},
		{"nobody holds it", nil, func(l *ClusterLook) { l.Cluster.Groups[0].Holder = "" }, nil},
		{"it is removed by hand", nil, func(l *ClusterLook) { l.Addresses[0].Repaired = 1 }, []string{
			"address added -> added: somebody removed the address 192.0.2.10/32 from eth0; it was put back.",
		}},
		{"it can't be there", nil, fault("eth0 is down"), []string{"address added -> missing: the address 192.0.2.10/32 is missing: eth0 is down."}},
		{"for longer", fault("not renewed for 2s"), fault("not renewed for 3s"), nil},
		{"for another reason", fault("eth0 is down"), fault("52:54:00:00:00:01 has it"), []string{
			"address missing -> missing: the address 192.0.2.10/32 is missing: 52:54:00:00:00:01 has it.",
		}},
		{"it waits for its first try", func(l *ClusterLook) { l.Addresses = nil }, fault(""), nil},
		{"it leaves the file", nil, func(l *ClusterLook) { l.Addresses = nil }, []string{"address added -> unwanted: the address 192.0.2.10/32 is no longer in the file."}},
		{"it is the host's own", nil, func(l *ClusterLook) { l.Addresses[0].State = AddressOwn }, []string{
			"address added -> own: the address 192.0.2.10/32 is on eth0 without us, and is left alone.",
		}},
		{"sync breaks", nil, func(l *ClusterLook) { l.Cluster.Sync.Running, l.Cluster.Sync.Error = false, "eth0 is gone" }, []string{
			"sync running -> in trouble: connections are not synchronised: eth0 is gone.",
		}},
		{"sync is turned off", nil, func(l *ClusterLook) { l.Cluster.Sync = SyncStatus{} }, []string{"sync running -> off: connections are no longer synchronised, by the file."}},
		{"sync is back", func(l *ClusterLook) { l.Cluster.Sync.Error = "eth0 is gone" }, nil, []string{"sync in trouble -> running: connections are synchronised on eth0."}},
		{"a note", nil, note("stalled for 600 ms"), []string{"member  -> : the cluster tells: stalled for 600 ms."}},
		{"a note whose age grows", note("stalled for 600 ms"), note("stalled for 711 ms"), nil},
		{"a problem", nil, func(l *ClusterLook) { l.Cluster.Problems = []string{"the key of lb2 differs"} }, []string{"member  -> : the cluster tells: the key of lb2 differs."}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, e := range observed(lookAt(tt.before), lookAt(tt.now)) {
				got = append(got, fmt.Sprintf("%s %s -> %s: %s", e.Kind, e.Before, e.After, e.Text))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestObservedAtTheStart tells what there is, and not what never was.
func TestObservedAtTheStart(t *testing.T) {
	var got []string
	for _, e := range observed(ClusterLook{}, lookAt(nil)) {
		got = append(got, e.Text)
	}
	want := []string{"the address 192.0.2.10/32 is on eth0, by us.", "director lb2 is there.", "connections are synchronised on eth0."}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if list := observed(ClusterLook{}, ClusterLook{}); list != nil {
		t.Errorf("of nothing: %v", list)
	}
}

func TestRoleEntry(t *testing.T) {
	e := roleEntry("lb2", cluster.Event{
		Group: "default", From: cluster.Standby, To: cluster.Active, Time: time.Unix(1e9, 0), Reason: core.Reason{Code: core.HolderSilent, Node: "lb1", Age: 540 * time.Millisecond},
	})
	if want := "lb2 is active for group default, after standby: no advert from lb1 for 540 ms."; e.Text != want || e.Kind != journal.Role || !e.Time.Equal(time.Unix(1e9, 0)) {
		t.Errorf("got %+v, want %q", e, want)
	}
}

func TestFailoverAsked(t *testing.T) {
	for _, tt := range []struct {
		group, to string
		a         FailoverAnswer
		err       error
		want      string
	}{
		{"", "", FailoverAnswer{OK: true, Reason: "lb2 has it", Nobody: .012}, nil, "an operator's failover is done: lb2 has it; the addresses were nobody's for 12 ms."},
		{"mail", "lb2", FailoverAnswer{Reason: "nobody can take it"}, nil, "an operator's failover of group mail to lb2 was refused: nobody can take it."},
		{"", "lb9", FailoverAnswer{}, errors.New("no such director"), "an operator's failover to lb9 failed: no such director."},
	} {
		if e := failoverAsked(tt.group, tt.to, tt.a, tt.err); e.Text != tt.want || !strings.Contains(tt.want, e.Cause) {
			t.Errorf("got %+v, want %q", e, tt.want)
		}
	}
}
