package cluster

import (
	"bytes"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/ipvsd/ipvsd/cluster/core"
	"github.com/ipvsd/ipvsd/cluster/vip"
)

// place is where everything is on this machine: pure, of what the kernel holds
// and of the options.
type place struct {
	wants     map[string][]vip.Want   // by group, with the interfaces' real names; none where one is unknown
	asks      map[string][]question   // by group: what is asked on the wire
	faults    map[string][]core.Fault // by group
	groups    map[netip.Addr]string
	macs      []core.MAC // of the interfaces with addresses of ours
	own       [][6]byte  // of all interfaces
	witnesses []witness
	rooms     []vip.Room
}

// question is an address that is asked for on an interface.
type question struct {
	link vip.Link
	addr netip.Addr
}

// askedFor is how many addresses of a family are asked for on an interface:
// those of a group come and go together, and asking for hundreds each 20 ms
// would flood the network.
const askedFor = 2

func findPlaces(f vip.Facts, o Options) place {
	p := place{
		wants: make(map[string][]vip.Want), asks: make(map[string][]question),
		faults: make(map[string][]core.Fault), groups: make(map[netip.Addr]string),
	}
	for _, l := range f.Links {
		if l.Ethernet {
			p.own = append(p.own, l.MAC)
		}
	}
	var rooms []vip.Room
	listen := func(l vip.Link, a netip.Addr) {
		i := slices.IndexFunc(rooms, func(r vip.Room) bool { return r.Link.Index == l.Index })
		if i < 0 {
			i = len(rooms)
			rooms = append(rooms, vip.Room{Link: l})
		}
		rooms[i].Addrs = append(rooms[i].Addrs, a)
	}
	for _, g := range o.Groups {
		p.faults[g.Name] = nil
		var wants []vip.Want
		for _, w := range g.Addresses {
			p.groups[w.Addr.Addr()] = g.Name
			link, err := linkFor(f, w)
			if err == nil {
				err = f.Problem(link.Name)
			}
			if err != nil {
				p.fault(g.Name, err)
			}
			if link.Name == "" {
				continue
			}
			w.Interface = link.Name
			wants = append(wants, w)
			if link.Ethernet {
				if mac := core.MAC(link.MAC); !slices.Contains(p.macs, mac) {
					p.macs = append(p.macs, mac)
				}
				p.ask(g.Name, question{link, w.Addr.Addr()})
				listen(link, w.Addr.Addr())
			}
		}
		if len(wants) == len(g.Addresses) {
			p.wants[g.Name] = wants
		}
	}
	p.witnesses = findWitnesses(f, o, p.wants)
	for _, w := range p.witnesses {
		if w.link.Ethernet {
			listen(w.link, w.addr)
		}
	}
	p.rooms = rooms
	return p
}

func (p *place) fault(group string, err error) {
	f := core.Fault{Name: "interface", Text: err.Error()}
	if !slices.Contains(p.faults[group], f) {
		p.faults[group] = append(p.faults[group], f)
	}
}

func (p *place) ask(group string, q question) {
	n := 0
	for _, o := range p.asks[group] {
		if o.link.Index == q.link.Index && o.addr.Is4() == q.addr.Is4() {
			n++
		}
	}
	if n < askedFor {
		p.asks[group] = append(p.asks[group], q)
	}
}

// interfaces are those on which a group's addresses can be asked for.
func (p *place) interfaces(group string) []string {
	var out []string
	for _, q := range p.asks[group] {
		if !slices.Contains(out, q.link.Name) {
			out = append(out, q.link.Name)
		}
	}
	return out
}

// linkFor finds the interface of an address. That the host has it on its
// loopback, too, as a web node does, is no obstacle.
func linkFor(f vip.Facts, w vip.Want) (vip.Link, error) {
	name := w.Interface
	if name == "" {
		seen := f
		seen.Held = slices.DeleteFunc(slices.Clone(f.Held), func(h vip.Held) bool { return h.Loopback })
		var err error
		if name, err = seen.InterfaceFor(w.Addr.Addr()); err != nil {
			return vip.Link{}, err
		}
		if name == "" {
			return vip.Link{}, fmt.Errorf("%s is an address of the host's own, which can't move to another director", w.Addr.Addr())
		}
	}
	if l, ok := f.Link(name); ok {
		return l, nil
	}
	return vip.Link{}, fmt.Errorf("there is no interface %s", name)
}

func (p place) equal(o place) bool {
	return maps.EqualFunc(p.wants, o.wants, slices.Equal[[]vip.Want]) &&
		maps.EqualFunc(p.asks, o.asks, slices.Equal[[]question]) &&
		maps.EqualFunc(p.faults, o.faults, slices.Equal[[]core.Fault]) &&
		maps.Equal(p.groups, o.groups) && slices.Equal(p.own, o.own) && slices.Equal(p.witnesses, o.witnesses)
}

func sameMACs(a, b []core.MAC) bool {
	return slices.EqualFunc(a, b, func(x, y core.MAC) bool { return bytes.Equal(x[:], y[:]) })
}

// config is the core's configuration, with what this machine adds to it.
func (l *loop) config() core.Config {
	c := l.opts.Core
	c.Groups = nil
	for _, g := range l.opts.Groups {
		c.Groups = append(c.Groups, core.Group{Name: g.Name, Priority: g.Priority, Interfaces: l.place.interfaces(g.Name)})
	}
	c.Witnesses = len(l.place.witnesses)
	return c
}

func sameConfig(a, b core.Config) bool {
	groups := func(x, y core.Group) bool {
		return x.Name == y.Name && x.Priority == y.Priority && slices.Equal(x.Interfaces, y.Interfaces)
	}
	if !slices.EqualFunc(a.Groups, b.Groups, groups) {
		return false
	}
	a.Groups, b.Groups = nil, nil
	return fmt.Sprintf("%+v", a) == fmt.Sprintf("%+v", b)
}

// faults is all that is wrong with this director.
type faults struct {
	own   []core.Fault            // until the table is programmed
	given map[string][]core.Fault // by group; "": all
	place map[string][]core.Fault
}

// nodeHealth is what is wrong for all groups.
func (l *loop) nodeHealth() core.Input {
	return core.Health{Faults: slices.Concat(l.faults.own, l.faults.given[""])}
}

// groupHealth is what is wrong for one.
func (l *loop) groupHealth(group string) core.Input {
	return core.Health{Group: group, Faults: slices.Concat(l.faults.place[group], l.faults.given[group])}
}

func (l *loop) pushHealth() {
	for _, g := range l.opts.Groups {
		l.push(l.groupHealth(g.Name))
	}
}
