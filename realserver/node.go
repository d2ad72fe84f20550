package realserver

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// RecordFile is the default place of the record.
const RecordFile = "/var/lib/ipvsd/realserver.json"

// Node is a web node. Each method may be run again: what is done already is
// found done.
type Node struct {
	Kernel     Kernel
	Root       string // in front of every file but /proc; "" is /
	RecordFile string // below Root
	Executable string // of the boot-time unit
	Sockets    func() ([]Socket, error)
	Out        io.Writer // what was done, line by line
	DryRun     bool      // print the commands, change nothing
}

func (n *Node) say(format string, args ...any) { fmt.Fprintf(n.Out, format+"\n", args...) }

func (n *Node) recordPath() string { return filepath.Join(n.Root, n.RecordFile) }

// Setup adds a goal to what the node is set up for; an empty one repairs that.
func (n *Node) Setup(more Goal) error {
	return n.locked(func() error {
		rec, err := loadRecord(n.recordPath())
		if err != nil {
			return err
		}
		if more.empty() && rec.Goal.empty() {
			return errors.New("setup: no VIP given; name at least one with --vip")
		}
		goal, err := rec.Goal.Extend(more)
		if err != nil {
			return err
		}
		have, err := n.Kernel.Read()
		if err != nil {
			return err
		}
		if err := Conflicts(have, goal); err != nil {
			return err
		}
		steps := Plan(have, Want(goal))
		next := rec.With(goal, steps)
		var why string
		if goal.Persist {
			var files []Step
			if files, next, why, err = n.persist(have, next); err != nil {
				return err
			}
			steps = append(steps, files...)
		}
		if n.DryRun {
			fmt.Fprint(n.Out, Script(steps))
		} else if err := n.carryOut(rec, next, steps); err != nil {
			return err
		}
		n.summary(have, next, steps, why)
		return nil
	})
}

// persist adds the files that bring next back after a reboot.
func (n *Node) persist(have State, next Record) ([]Step, Record, string, error) {
	scheme, why := next.Persist, "as before"
	if scheme == "" {
		var err error
		if scheme, why, err = Detect(n.Root); err != nil {
			return nil, next, "", err
		}
		next.Persist = scheme
	}
	files, err := pending(n.Root, n.files(have, next), next)
	return files, next.With(next.Goal, files), why, err
}

// files are those that a record's goal needs on this node.
func (n *Node) files(have State, rec Record) []File {
	want := Want(rec.Goal).Resolve(have)
	p := persistence{
		scheme:     rec.Persist,
		addrs:      want.Addrs,
		settings:   persistedSettings(settings(have, want), rec),
		links:      make(map[string]string),
		executable: n.Executable,
		record:     n.RecordFile,
	}
	if !slices.Contains(rec.Files, unitFile) { // which stands before the package's
		p.packaged = packagedUnit(n.Root)
	}
	for i, a := range p.addrs {
		// An address of ours that is gone, after a reboot say, keeps its label.
		for _, own := range rec.Addresses {
			if own.Prefix == a.Prefix && own.Link == a.Link {
				p.addrs[i].Label = own.Label
			}
		}
	}
	for _, link := range p.linkNames() {
		p.links[link] = networkPath(n.Root, link)
	}
	return p.files()
}

// carryOut writes the record, then does the steps. The record names everything
// that may have happened, so after a failure or a crash anywhere, teardown goes
// back and setup goes on.
func (n *Node) carryOut(old, next Record, steps []Step) error {
	if len(steps) > 0 || !old.Exists() || !sameGoal(old.Goal, next.Goal) || old.Persist != next.Persist {
		if err := saveRecord(n.recordPath(), next); err != nil {
			return withRootHint(err)
		}
	}
	if done, err := n.apply(steps); err != nil {
		return fmt.Errorf("%w\n%d of %d steps are done and recorded in %s: "+
			"mend the cause and run setup again, or go back with `ipvsd realserver teardown`",
			withRootHint(err), done, len(steps), n.RecordFile)
	}
	return nil
}

// apply stops at the first step that fails and tells how many were done.
func (n *Node) apply(steps []Step) (done int, err error) {
	for _, s := range steps {
		switch s.Op {
		case OpWrite:
			err = n.write(s.File)
		case OpDelete:
			err = n.delete(s.File.Path)
		default:
			err = n.Kernel.Do(s)
		}
		if err != nil {
			return done, fmt.Errorf("%s: %w", s.doing(), err)
		}
		n.say("%s", s)
		done++
	}
	return done, nil
}

func (n *Node) write(f File) error {
	full := filepath.Join(n.Root, f.Path)
	if f.Target == "" {
		return writeAtomic(full, []byte(f.Content), 0o644)
	}
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		return err
	}
	if err := os.Remove(full); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.Symlink(f.Target, full)
}

// delete removes a file of ours, and a drop-in folder that it leaves empty.
func (n *Node) delete(name string) error {
	full := filepath.Join(n.Root, name)
	if err := os.Remove(full); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if dir := filepath.Dir(full); strings.HasSuffix(dir, ".network.d") {
		_ = os.Remove(dir) // fails where others have drop-ins too
	}
	return nil
}

// summary says what the lines of the steps don't.
func (n *Node) summary(have State, rec Record, steps []Step, why string) {
	if len(steps) == 0 {
		n.say("nothing to change: everything is in place")
	}
	var tunnel bool
	for _, a := range Want(rec.Goal).Addrs {
		own := slices.ContainsFunc(rec.Addresses, func(o Addr) bool { return o.Prefix == a.Prefix && o.Link == a.Link })
		if have.has(a) && !own {
			n.say("note: %s was on %s before setup; teardown will leave it there", a.Prefix, a.Link)
		}
		tunnel = tunnel || a.Link != "lo"
	}
	if tunnel && len(steps) > 0 {
		n.say("note: the tunnel takes 20 bytes of each packet (40 with IPv6); where clients send full packets " +
			"and lose them, lower the route's MSS here: `ip route change default … advmss 1440` (1400)")
	}
	if rec.Goal.NAT && len(steps) > 0 {
		n.say("note: routes are left as they are; `ipvsd realserver status` tells whether answers pass the director")
	}
	switch {
	case !rec.Goal.Persist:
		n.say("note: this lasts until the next boot; --persist keeps it")
	case !slices.ContainsFunc(steps, func(s Step) bool { return s.Op == OpWrite }):
	case len(Want(rec.Goal).Addrs) == 0:
		n.say("it comes back after a reboot through sysctl.d")
	default:
		n.say("it comes back after a reboot through %s: %s", rec.Persist, why)
	}
}

// Teardown puts back what was there before the first setup.
func (n *Node) Teardown() error {
	if !exists(n.Root, n.RecordFile) {
		n.say("nothing to put back: no setup is recorded in %s", n.RecordFile)
		return nil
	}
	return n.locked(func() error {
		rec, err := loadRecord(n.recordPath())
		if err != nil {
			return err
		}
		have, err := n.Kernel.Read()
		if err != nil {
			return err
		}
		steps := PlanTeardown(have, rec)
		for _, name := range slices.Backward(rec.Files) {
			f, err := readFile(n.Root, name)
			switch {
			case err != nil:
				return err
			case f == nil:
			case f.ours():
				steps = append(steps, Step{Op: OpDelete, File: File{Path: name}})
			default:
				n.say("note: %s no longer says that ipvsd wrote it; left there", name)
			}
		}
		if n.DryRun {
			fmt.Fprint(n.Out, Script(steps))
			return nil
		}
		if done, err := n.apply(steps); err != nil {
			return fmt.Errorf("%w\n%d of %d steps are done; the record %s stays until all are: "+
				"mend the cause and run teardown again", withRootHint(err), done, len(steps), n.RecordFile)
		}
		if err := os.Remove(n.recordPath()); err != nil {
			return fmt.Errorf("delete the record: %v", err)
		}
		n.afterwards(have, rec)
		return nil
	})
}

// afterwards says what teardown found different from what setup left.
func (n *Node) afterwards(have State, rec Record) {
	for _, a := range rec.Addresses {
		if !have.has(a) {
			n.say("note: %s was gone from %s already", a.Prefix, a.Link)
		}
	}
	for _, s := range rec.Sysctls {
		if now := have.Sysctls[s.Key]; now != "" && now != s.Set && now != s.Before {
			n.say("note: %s had been changed to %s since setup; it is now %s, as before setup", s.Key, now, s.Before)
		}
	}
	for _, link := range rec.Links {
		switch {
		case link != "lo" && inUse(have, rec, link):
			n.say("note: %s stays up, it has addresses of others", link)
		case tunnels[link] != "" && have.Links[link].Up:
			n.say("note: module %s stays loaded, others may use it; %s is down", tunnels[link], link)
		}
	}
	n.say("this node is as it was before setup")
}

// Status compares the node with its record, and with what is asked for where
// the record doesn't know better.
func (n *Node) Status(asked Goal) (Report, error) {
	rec, err := loadRecord(n.recordPath())
	if err != nil {
		return Report{}, err
	}
	asked.VIPs = slices.DeleteFunc(slices.Clone(asked.VIPs), func(v VIP) bool {
		return slices.ContainsFunc(rec.Goal.VIPs, func(known VIP) bool { return known.Addr == v.Addr })
	})
	goal, err := rec.Goal.Extend(asked)
	if err != nil {
		return Report{}, err
	}
	if goal.empty() {
		none := Finding{
			What: "nothing is set up on this node: there is no " + n.RecordFile,
			Cure: "ipvsd realserver setup --vip ADDR",
		}
		return Report{VIPs: []VIPReport{}, Missing: []Finding{none}, Notes: []Finding{}}, nil
	}
	have, err := n.Kernel.Read()
	if err != nil {
		return Report{}, err
	}
	sockets, err := n.Sockets()
	if err != nil {
		return Report{}, err
	}
	r := Check(have, goal, sockets)
	if !rec.Exists() {
		r.Notes = append(r.Notes, Finding{What: "ipvsd did not set this node up: there is no " + n.RecordFile})
	}
	if err := n.checkFiles(have, rec, &r); err != nil {
		return Report{}, err
	}
	return r, nil
}

// checkFiles looks at what has to bring everything back after a reboot.
func (n *Node) checkFiles(have State, rec Record, r *Report) error {
	if !rec.Goal.Persist {
		if rec.Exists() {
			r.Notes = append(r.Notes, Finding{
				What: "the next boot forgets the setup", Cure: "ipvsd realserver setup --persist",
			})
		}
		return nil
	}
	r.Persist = rec.Persist
	for _, f := range n.files(have, rec) {
		on, err := readFile(n.Root, f.Path)
		if err != nil {
			return err
		}
		if on == nil || *on != f {
			r.Missing = append(r.Missing, Finding{
				What: Step{Op: OpWrite, File: f}.lacking(),
				Why:  "the next boot does not come up as this node is now",
				Cure: "ipvsd realserver setup --persist", Repair: true,
			})
		}
	}
	want := Want(rec.Goal).Resolve(have)
	r.Missing = append(r.Missing, overridden(n.Root, persistedSettings(settings(have, want), rec))...)
	return nil
}

// locked keeps two runs from interleaving.
func (n *Node) locked(f func() error) error {
	if n.DryRun {
		return f()
	}
	if err := os.MkdirAll(filepath.Dir(n.recordPath()), 0o755); err != nil {
		return withRootHint(fmt.Errorf("make the record's folder: %w", err))
	}
	dir, err := os.Open(filepath.Dir(n.recordPath()))
	if err != nil {
		return withRootHint(fmt.Errorf("lock the record: %w", err))
	}
	defer dir.Close()
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			return errors.New("another `ipvsd realserver` is at work on this node")
		}
		return fmt.Errorf("lock the record: %v", err)
	}
	return f()
}

func withRootHint(err error) error {
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("%w (this needs root)", err)
	}
	return err
}

func sameGoal(a, b Goal) bool {
	return slices.Equal(a.VIPs, b.VIPs) && a.NAT == b.NAT && a.Gateway == b.Gateway && a.Persist == b.Persist
}
