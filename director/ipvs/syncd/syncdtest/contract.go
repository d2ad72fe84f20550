package syncdtest

import (
	"errors"
	"testing"

	"github.com/ipvsd/ipvsd/director/ipvs/syncd"
)

// Subject is a kernel to which the contract can do what others do to it. It
// begins without daemons and interfaces. AddLink with an interface that is there
// replaces its addresses.
type Subject interface {
	syncd.Kernel
	AddLink(name string, addrs ...string)
	DelLink(name string)
	SetBackupOnly(on bool)
}

// Contract is what the keeper relies on.
func Contract(t *testing.T, k Subject) {
	t.Helper()
	want := syncd.Want{Interface: "sync0", SyncID: 7, ManageSysctl: true}
	read := func() syncd.Have {
		t.Helper()
		have, err := k.Read(want)
		if err != nil {
			t.Fatal(err)
		}
		return have
	}
	do := func(op syncd.Op, d syncd.Daemon, wanted error) {
		t.Helper()
		s := syncd.Step{Op: op, Daemon: d}
		if err := k.Do(s); !errors.Is(err, wanted) {
			t.Errorf("%s: got error %v, want %v", s, err, wanted)
		}
	}
	master, backup := want.Daemon(syncd.Master), want.Daemon(syncd.Backup)

	if have := read(); have.Link.Index != 0 || len(have.Running) > 0 {
		t.Errorf("at first: %+v", have)
	}
	if err := k.Do(syncd.Step{Op: syncd.Start, Daemon: master}); err == nil || err.Error() != "there is no interface sync0" {
		t.Errorf("start on a missing interface: %v", err)
	}
	do(syncd.Stop, master, syncd.ErrNotRunning)

	// Without an address it "works".
	k.AddLink("sync0")
	if have := read(); have.Link.Index == 0 || have.Link.Usable {
		t.Errorf("without an address: %+v", have)
	}
	do(syncd.Start, master, nil)
	if have := read(); len(have.Running) != 1 || have.Running[0].Source.IsGlobalUnicast() {
		t.Errorf("started without an address: %+v", have)
	}
	do(syncd.Stop, master, nil)

	// Both, once each, and the second plan is empty.
	k.AddLink("sync0", "192.0.2.1/24", "198.51.100.1/24")
	k.SetBackupOnly(true)
	for _, s := range syncd.Plan(read(), want) {
		if err := k.Do(s); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
	have := read()
	if have.BackupOnly {
		t.Error("backup_only is still set")
	}
	if again := syncd.Plan(have, want); len(again) > 0 {
		t.Errorf("second plan: %v (%s)", again, again[0].Reason)
	}
	if len(have.Running) != 2 || have.Running[0].Role != syncd.Master || have.Running[1].Role != syncd.Backup {
		t.Fatalf("running: %+v", have.Running)
	}
	for _, r := range have.Running {
		d := want.Daemon(r.Role)
		if d.MaxLen = 1472; r.Daemon != d {
			t.Errorf("%s runs, want %s", r.Daemon, d)
		}
	}
	if i := have.Running[1].Index; i != have.Link.Index {
		t.Errorf("the backup is bound to interface %d, want %d", i, have.Link.Index)
	}
	if src := have.Running[0].Source; src != have.Link.Addrs[0] {
		t.Errorf("the master sends from %s, want %s", src, have.Link.Addrs[0])
	}
	do(syncd.Start, master, syncd.ErrExist)
	do(syncd.Start, backup, syncd.ErrExist)

	// Neither notices that its address or interface goes.
	k.AddLink("sync0", "198.51.100.1/24")
	steps := syncd.Plan(read(), want)
	if len(steps) != 2 || steps[0].Daemon.Role != syncd.Master {
		t.Errorf("after the address went: %v", steps)
	}
	k.DelLink("sync0")
	k.AddLink("sync0", "198.51.100.1/24")
	have = read()
	if steps := syncd.Plan(have, want); len(steps) != 4 {
		t.Errorf("after the interface was made anew: %v", steps)
	}
	for _, s := range syncd.Teardown(have, want) {
		if err := k.Do(s); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
	if have := read(); len(have.Running) > 0 {
		t.Errorf("after the teardown: %+v", have.Running)
	}
}
