package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/director/api"
	"github.com/ipvsd/ipvsd/test/lab"
)

const (
	demoFilePath = "/etc/ipvsd/ipvsd.toml"
	demoKeyPath  = "/etc/ipvsd/cluster.key"
)

// demoDaemon is a director. Everything is where it is on a real one, in folders
// that only its host sees: so the commands on it are those of every operator.
type demoDaemon struct {
	name   string
	farm   *demoFarm
	host   *lab.Host
	procs  []*lab.Proc // the last one is the one that runs
	client *api.Client
}

// daemon prepares a director and doesn't start it.
func (f *demoFarm) daemon(h *lab.Host) *demoDaemon {
	d := &demoDaemon{name: h.Name, farm: f, host: h}
	h.Private("/etc", "/run/ipvsd", "/var/lib")
	h.Route("default", demoClient)
	f.must(h.Do(func() error { return os.Mkdir("/etc/ipvsd", 0o755) }))
	d.write(demoFilePath, demoFile, 0o644)
	return d
}

func (d *demoDaemon) write(path, text string, mode os.FileMode) {
	d.farm.must(d.host.Do(func() error { return os.WriteFile(path, []byte(text), mode) }))
}

func (d *demoDaemon) read(path string) string {
	var b []byte
	d.farm.must(d.host.Do(func() (err error) {
		b, err = os.ReadFile(path)
		return err
	}))
	return string(b)
}

// start starts the daemon. Its socket is reached by way of its process: no other
// host sees the folder.
func (d *demoDaemon) start() {
	p := d.host.Start(d.farm.exe, "director")
	d.procs = append(d.procs, p)
	d.client = api.NewClient(fmt.Sprintf("/proc/%d/root%s", p.PID(), api.DefaultSocket))
	d.farm.stage.Cleanup(d.client.Close)
}

func (d *demoDaemon) proc() *lab.Proc { return d.procs[len(d.procs)-1] }

// stop ends the daemon as systemd does.
func (d *demoDaemon) stop() error {
	d.proc().Signal(syscall.SIGTERM)
	if err := d.proc().Wait(10 * time.Second); err != nil {
		return fmt.Errorf("ipvsd director on %s after SIGTERM: %v", d.name, err)
	}
	return nil
}

// die is the end of the machine, as far as others can tell.
func (d *demoDaemon) die() {
	d.host.Cut()
	d.proc().Kill()
}

// hasVIP is whether the kernel of the director has the address.
func (d *demoDaemon) hasVIP() bool {
	for _, p := range d.host.Addrs("eth0") {
		if p.Addr().String() == demoVIP {
			return true
		}
	}
	return false
}

// demoView is what a director says, with what the story asks of it.
type demoView struct{ director.Status }

func (d *demoDaemon) look(ctx context.Context) (demoView, error) {
	s, err := d.client.Status(ctx)
	if err == nil && (s.Cluster == nil || len(s.Cluster.Groups) == 0) {
		err = errors.New("the director knows of no cluster")
	}
	return demoView{s}, err
}

// group is the one group of addresses that there is.
func (v demoView) group() *director.ClusterGroupStatus { return &v.Cluster.Groups[0] }

// whole reports whether the director is ready and hears all the others.
func (v demoView) whole() bool {
	alive := func(m director.MemberStatus) bool { return m.State == "alive" }
	return v.Ready && len(v.Cluster.Members) == 2 && alive(v.Cluster.Members[0]) && alive(v.Cluster.Members[1]) &&
		v.group().Holder != "" && v.Cluster.Sync.Running
}

// holds reports whether the director has the address, and it is announced.
func (v demoView) holds() bool {
	return v.Active && !slices.ContainsFunc(v.Addresses, func(a director.AddressStatus) bool {
		return a.State != director.AddressAdded || a.Error != ""
	})
}

// real finds a web server by its address.
func (v demoView) real(addr string) director.RealStatus {
	for _, s := range v.Virtuals {
		for _, r := range s.Reals {
			if r.Address == addr {
				return r
			}
		}
	}
	return director.RealStatus{}
}

// only is the status with one virtual service, for a short table.
func (v demoView) only(virtual string) director.Status {
	s := v.Status
	s.Virtuals = slices.DeleteFunc(slices.Clone(s.Virtuals), func(x director.VirtualStatus) bool { return x.Name != virtual })
	return s
}
