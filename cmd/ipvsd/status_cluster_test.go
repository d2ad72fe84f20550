package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/director"
)

// clusterOf is two directors, of which loadb1 tells; holder has the group web.
func clusterOf(holder string) director.Status {
	st := statusOf(web(
		real("192.168.0.101:80", director.StateUp, "status 200", 1, 12, 40),
		real("192.168.0.102:80", director.StateUp, "status 200", 1, 11, 38),
	))
	c := &director.ClusterStatus{
		Name: "loadb1",
		Members: []director.MemberStatus{
			{Name: "loadb1", Address: "192.168.0.103:7946", State: "alive", Since: ago(3 * time.Hour), Self: true, Priority: 100},
			{Name: "loadb2", Address: "192.168.0.104:7946", State: "alive", Since: ago(2 * time.Hour), Priority: 90},
		},
		Groups: []director.ClusterGroupStatus{{
			Name: "web", State: "standby", Holder: holder, Term: 7, Reason: "loadb2 is active", Code: "holder-known",
			Since: ago(2 * time.Hour), Addresses: []string{"192.168.0.105/24"},
		}},
		Sync:        director.SyncStatus{Enabled: true, Running: true, ID: 5, Interface: "eth0"},
		Transitions: map[string]uint64{"standby": 1},
	}
	st.Cluster, st.Active = c, holder == "loadb1"
	for i := range c.Members {
		if c.Members[i].Name == holder {
			c.Members[i].Active = []string{"web"}
		}
	}
	a := &st.Addresses[0]
	*a = director.AddressStatus{Address: "192.168.0.105/24", Interface: "eth0", State: director.AddressAdded, Since: ago(time.Minute)}
	switch holder {
	case "loadb1":
		c.Groups[0].State, c.Groups[0].Since, c.Groups[0].Reason = "active", ago(time.Minute), "every director was heard and none is active"
	case "":
		c.Groups[0].Since, c.Groups[0].Reason = ago(12*time.Second), "1 of 3 directors are heard, not the majority"
		*a = director.AddressStatus{Address: a.Address, State: director.AddressMissing, Error: "nobody holds it: " + c.Groups[0].Reason}
	default:
		*a = director.AddressStatus{Address: a.Address, State: director.AddressElsewhere, Holder: holder}
	}
	return st
}

var lastFailover = director.FailoverStatus{
	At: ago(time.Minute), Reason: "no advert from loadb2 for 604 ms",
	Suspected: .301, Decided: .604, AddressUp: .606, Announced: .607,
}

type clusterState = struct {
	status director.Status
	code   int
}

func clusterStates() map[string]clusterState {
	dead := clusterOf("loadb1")
	dead.Cluster.Members[1].State, dead.Cluster.Members[1].Since, dead.Cluster.Members[1].Error = "dead", ago(59*time.Second), "no answer to 3 probes"
	dead.Cluster.Groups[0].Reason, dead.Cluster.Groups[0].Last = lastFailover.Reason, &lastFailover

	nobody := clusterOf("")
	nobody.Cluster.Members[1].State, nobody.Cluster.Members[1].Error = "silent", "connect: no route to host"
	nobody.Cluster.Members = append(nobody.Cluster.Members, director.MemberStatus{Address: "192.168.0.106:7946", State: "absent", Error: "connection refused"})
	nobody.Cluster.Sync = director.SyncStatus{Enabled: true, ID: 5, Interface: "eth1", Error: "there is no interface eth1; name one with [cluster.sync] interface"}
	nobody.Cluster.Problems = []string{"192.168.0.107:7946 has another key: its messages can't be read; compare the key files with `ipvsd cluster keys`"}
	nobody.Cluster.Notes = []string{"web: the address answers from 02:00:00:00:00:01, which is no director that holds it: a web node without `ipvsd realserver setup`?"}

	groups := clusterOf("loadb1")
	groups.Cluster.Groups = append(groups.Cluster.Groups, director.ClusterGroupStatus{
		Name: "mail", State: "standby", Holder: "loadb2", Term: 123456, Reason: "loadb2 is active", Since: ago(2 * time.Hour),
	})
	groups.Cluster.Members[1].Active, groups.Cluster.Members[1].Skew = []string{"mail"}, true
	groups.Cluster.Members = append(groups.Cluster.Members, director.MemberStatus{Name: "loadb3", Address: "192.168.0.106:7946", State: "left", Since: ago(time.Hour)})
	groups.Cluster.Groups[0].Last = &director.FailoverStatus{At: ago(time.Minute), Reason: "handed over by loadb2", AddressUp: .0021, Announced: .0034}
	groups.Addresses = append(groups.Addresses, director.AddressStatus{Address: "192.168.0.109/24", State: director.AddressElsewhere, Holder: "loadb2"})
	groups.Cluster.Sync = director.SyncStatus{}

	long := clusterOf("loadb1")
	long.Cluster.Name = "director-1.balancers.example.org"
	long.Cluster.Members[0].Name = long.Cluster.Name
	long.Cluster.Members[1].Error = strings.Repeat("\x1b[2J long ", 20)
	for i := range 20 {
		name := fmt.Sprintf("a-group-with-a-long-name-%d", i)
		long.Cluster.Members[0].Active = append(long.Cluster.Members[0].Active, name)
		long.Cluster.Groups = append(long.Cluster.Groups, director.ClusterGroupStatus{
			Name: name, State: "standby", Holder: long.Cluster.Name, Term: 1 << 31, Reason: strings.Repeat("why ", 30), Since: ago(time.Hour),
		})
	}
	return map[string]clusterState{
		"cluster-active":    {clusterOf("loadb1"), 0},
		"cluster-standby":   {clusterOf("loadb2"), 0},
		"cluster-peer-dead": {dead, 2},
		"cluster-nobody":    {nobody, 2},
		"cluster-groups":    {groups, 0},
		"cluster-long":      {long, 0},
	}
}

// Each thing alone makes the exit status 2, or doesn't.
func TestClusterProblems(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   func(*director.ClusterStatus)
		want string // "": well
	}{
		{"well", func(*director.ClusterStatus) {}, ""},
		{"dead", func(c *director.ClusterStatus) { c.Members[1].State = "dead" }, "director loadb2 is dead"},
		{"silent", func(c *director.ClusterStatus) { c.Members[1].State, c.Members[1].Error = "silent", "why" }, "director loadb2 is silent: why"},
		{"absent", func(c *director.ClusterStatus) { c.Members[1].State, c.Members[1].Name = "absent", "" }, "director 192.168.0.104:7946 is absent"},
		{"suspect", func(c *director.ClusterStatus) { c.Members[1].State = "suspect" }, ""},
		{"left", func(c *director.ClusterStatus) { c.Members[1].State = "left" }, ""},
		{"skew", func(c *director.ClusterStatus) { c.Members[1].Skew = true }, ""},
		{"nobody", func(c *director.ClusterStatus) { c.Groups[0].Holder, c.Groups[0].Reason = "", "" }, "group web: nobody holds it"},
		{"sync off", func(c *director.ClusterStatus) { c.Sync = director.SyncStatus{} }, ""},
		{"sync not running", func(c *director.ClusterStatus) { c.Sync.Running = false }, "sync: not running"},
		{"sync error", func(c *director.ClusterStatus) { c.Sync.Error = "no module" }, "sync: no module"},
		{"problem", func(c *director.ClusterStatus) { c.Problems = []string{"keys differ"} }, "cluster: keys differ"},
		{"note", func(c *director.ClusterStatus) { c.Notes = []string{"stalled"} }, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			st := clusterOf("loadb2")
			tc.do(st.Cluster)
			if got := strings.Join(problems(&st), "\n"); got != tc.want {
				t.Errorf("problems %q, want %q", got, tc.want)
			}
		})
	}
}

func TestPhases(t *testing.T) {
	for want, f := range map[string]director.FailoverStatus{
		"last heard 0 ms, suspected 301, decided 604, address up 606, announced 607": lastFailover,
		"decided 0 ms, address up 2, announced 3":                                    {AddressUp: .0021, Announced: .0034},
		"decided 0 ms": {},
	} {
		if got := phases(&f); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
