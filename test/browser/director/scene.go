package main

import (
	"fmt"
	"time"

	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/director/journal"
)

// hostileText is what a name, an answer or an operator's words may hold.
const hostileText = `<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>"'&amp;` + "\u202e\u0000\x1b[31m"

func newStage(scene string, now time.Time) (*stage, error) {
	s := &stage{began: now, scene: scene}
	s.status = director.Status{
		Version: "test", PID: 4711, Started: now.Add(-71 * time.Hour), Active: true, Ready: true,
		Config: director.ConfigStatus{
			File: "/etc/ipvsd/ipvsd.toml", Hash: "5be1c1d0a9bd6f7a3b6d5a3c0e6f5f64c5c3b0c0ffee00000000002a0f3a0000", Loaded: now.Add(-20 * time.Hour),
			Reloads: map[string]uint64{},
		},
		Kernel: director.KernelStatus{Programmed: true, Synced: now, Drifts: map[string]uint64{}},
	}
	var virtuals, reals int
	switch {
	case scene == "pair":
		s.status.Virtuals = []director.VirtualStatus{service("web", "192.0.2.10:80/tcp", "10.0.0", 2, now)}
		s.address("192.0.2.10/24")
	case scene == "night":
		s.night(now)
	case scene == "hostile":
		s.hostile(now)
	default:
		if n, err := fmt.Sscanf(scene, "%dx%d", &virtuals, &reals); n != 2 || err != nil {
			return nil, fmt.Errorf("there is no scene %q", scene)
		}
		for v := range virtuals {
			s.status.Virtuals = append(s.status.Virtuals, service(fmt.Sprintf("service-%d", v+1), fmt.Sprintf("192.0.%d.%d:80/tcp", 2+v/250, v%250+1), fmt.Sprintf("10.%d.%d", v/250, v%250), reals, now))
			s.address(fmt.Sprintf("192.0.%d.%d/24", 2+v/250, v%250+1))
		}
		s.cluster(now)
	}
	return s, nil
}

func (s *stage) address(a string) {
	s.status.Addresses = append(s.status.Addresses, director.AddressStatus{Address: a, Interface: "eth0", State: director.AddressAdded, Since: s.began.Add(-9 * time.Hour)})
}

func service(name, address, net string, reals int, now time.Time) director.VirtualStatus {
	v := director.VirtualStatus{Name: name, Service: address, Scheduler: "wlc", Up: true}
	for i := range reals {
		r := director.RealStatus{
			Address: fmt.Sprintf("%s.%d:80", net, 101+i), Forward: "dr", Configured: 100, Tier: 1, InKernel: true,
			Active: uint32(40 + 37*i%90), Inactive: uint32(90 + 53*i%120), Counters: director.Traffic{Connections: 120000},
			Check: director.CheckStatus{Type: "http", Target: fmt.Sprintf("%s.%d:80", net, 101+i), Good: 4000, Rise: 1, Fall: 2, Interval: 2},
		}
		heal(&r, now.Add(-time.Duration(40+i)*time.Hour))
		v.Reals = append(v.Reals, r)
	}
	return v
}

func heal(r *director.RealStatus, at time.Time) {
	r.State, r.Verdict, r.Reason, r.Since, r.Weight, r.Hold = director.StateUp, director.StateUp, "status 200, the answer matches", at, r.Configured, nil
	r.Check.Last = &director.CheckResult{OK: true, Reason: r.Reason, At: at, Seconds: .0014}
	r.Check.Streak = 1
}

func fail(r *director.RealStatus, reason string, at time.Time) {
	r.State, r.Verdict, r.Reason, r.Since, r.Weight = director.StateDown, director.StateDown, reason, at, 0
	r.Active, r.Inactive = 0, r.Inactive/4
	r.Check.Last = &director.CheckResult{Reason: reason, At: at, Seconds: .0008}
	r.Check.LastFailure, r.Check.Streak = r.Check.Last, -1
}

func hold(r *director.RealStatus, state string, minutes int, at time.Time) {
	end := at.Add(time.Duration(minutes) * time.Minute)
	r.State, r.Weight, r.Since = state, 0, at
	wish := map[string]string{director.StateDraining: "drain", director.StateDisabled: "disable"}[state]
	r.Hold = &director.HoldStatus{Wish: wish, By: "anna", Director: "loadb1", Reason: "new kernel", Since: at}
	r.Reason = "disabled by anna: new kernel"
	if state == director.StateDraining {
		r.Hold.Deadline = &end
		r.Reason = fmt.Sprintf("drained by anna: new kernel; %d connections are left", r.Active)
	}
}

func (s *stage) cluster(now time.Time) {
	s.status.Cluster = &director.ClusterStatus{
		Name: "loadb1",
		Members: []director.MemberStatus{
			{Name: "loadb1", Address: "192.0.2.3:7946", State: "alive", Since: now.Add(-71 * time.Hour), Self: true, Priority: 100, Active: []string{"main"}},
			{Name: "loadb2", Address: "192.0.2.4:7946", State: "alive", Since: now.Add(-9 * time.Hour), Priority: 90, Active: []string{}},
		},
		Groups: []director.ClusterGroupStatus{{
			Name: "main", State: "active", Holder: "loadb1", Term: 7, Reason: "no advert from loadb2 for 540 ms", Since: now.Add(-9 * time.Hour), Addresses: []string{},
			Last: &director.FailoverStatus{At: now.Add(-9 * time.Hour), From: "loadb2", Reason: "no advert from loadb2 for 540 ms", Suspected: .3, Decided: .54, AddressUp: .542, Announced: .543},
		}},
		Sync:        director.SyncStatus{Enabled: true, Running: true, ID: 5, Interface: "eth0"},
		Transitions: map[string]uint64{"active": 1}, Problems: []string{}, Notes: []string{},
	}
	var count director.MemberReals
	for _, v := range s.status.Virtuals {
		for _, r := range v.Reals {
			switch r.Verdict {
			case director.StateUp:
				count.Up++
				count.All++
			case director.StateDown:
				count.All++
			}
		}
	}
	for i := range s.status.Cluster.Members {
		s.status.Cluster.Members[i].Reals = &count
	}
}

// night is what an operator sees who was woken up.
func (s *stage) night(now time.Time) {
	for i, name := range []string{"web", "shop", "mail", "dns", "api"} {
		s.status.Virtuals = append(s.status.Virtuals, service(name, fmt.Sprintf("192.0.2.%d:%d/tcp", 10+i, []int{443, 443, 25, 53, 8443}[i]), fmt.Sprintf("10.0.%d", i), []int{4, 3, 2, 2, 6}[i], now))
		s.address(fmt.Sprintf("192.0.2.%d/24", 10+i))
	}
	web, shop, mail, dns, api := &s.status.Virtuals[0], &s.status.Virtuals[1], &s.status.Virtuals[2], &s.status.Virtuals[3], &s.status.Virtuals[4]
	fail(&web.Reals[2], "no answer within 5 s", now.Add(-190*time.Second))
	web.Reals[3].Active = 31
	hold(&web.Reals[3], director.StateDraining, 24, now.Add(-6*time.Minute))
	for i := range mail.Reals {
		fail(&mail.Reals[i], "connect: connection refused", now.Add(-time.Duration(100+i*9)*time.Second))
	}
	mail.Up, mail.Fallback = false, true
	mail.Reals = append(mail.Reals, director.RealStatus{Address: "127.0.0.1:25", Forward: "dr", State: director.StateFallback, Weight: 1, Configured: 1, InKernel: true, Reason: "no real server is up", Active: 3})
	hold(&shop.Reals[2], director.StateDisabled, 0, now.Add(-26*time.Minute))
	shop.Reals[2].Active, shop.Reals[2].Inactive, shop.Reals[2].InKernel = 0, 0, false
	api.Reals[1].Weight, api.Reals[1].WeightReason, api.Reals[1].Since = 35, "slow start: 35 of 100, full in 20 s", now.Add(-12*time.Second)
	api.Reals[1].Check.Bad, api.Reals[1].Check.LastFailure = 14, &director.CheckResult{Reason: "status 503, 200 is wanted", At: now.Add(-50 * time.Second), Seconds: .003}
	dns.Service, dns.Scheduler = "192.0.2.13:53/udp", "rr"
	for i := range dns.Reals {
		dns.Reals[i].Active, dns.Reals[i].Check.Type = 0, "dns"
		dns.Reals[i].Reason, dns.Reals[i].Check.Last.Reason = "A 192.0.2.1", "A 192.0.2.1"
	}
	s.cluster(now)
	s.status.Cluster.Members = append(s.status.Cluster.Members, director.MemberStatus{Name: "loadb3", Address: "192.0.2.5:7946", State: "dead", Since: now.Add(-9 * time.Hour), Error: "no answer to 3 probes"})
	s.status.Cluster.Members[1].Skew = true
}

func (s *stage) hostile(now time.Time) {
	v := service("web "+hostileText, "192.0.2.10:80/tcp", "10.0.0", 3, now)
	v.Comment = hostileText
	fail(&v.Reals[0], "the answer is "+hostileText, now)
	v.Reals[0].Check.Last.Sample = hostileText
	hold(&v.Reals[1], director.StateDraining, 10, now)
	v.Reals[1].Hold.By, v.Reals[1].Hold.Reason = hostileText, hostileText
	v.Reals[2].WeightReason = hostileText
	s.status.Virtuals = []director.VirtualStatus{v}
	s.address(hostileText)
	s.cluster(now)
	c := s.status.Cluster
	c.Name, c.Members[0].Name, c.Groups[0].Name, c.Groups[0].Reason = hostileText, hostileText, hostileText, hostileText
	c.Problems, c.Notes = []string{hostileText}, []string{hostileText}
	s.status.Config.Error, s.status.Config.File = hostileText, hostileText
}

// past is what the journal begins with.
func (s *stage) past() []journal.Entry {
	at := func(ago time.Duration) time.Time { return s.began.Add(-ago) }
	switch s.scene {
	case "hostile":
		return []journal.Entry{{Kind: journal.Verdict, Time: s.began, Virtual: hostileText, Cause: hostileText, Text: hostileText, Steps: []string{hostileText}}}
	case "night":
		return []journal.Entry{
			{Kind: journal.Member, Time: at(9*time.Hour + time.Second), Text: "loadb2 fell silent and came back with another file."},
			{Kind: journal.Role, Time: at(9 * time.Hour), Group: "main", Before: "standby", After: "active", Cause: "no advert from loadb2 for 540 ms", Text: "This director became active for main: no advert from loadb2 for 540 ms.", Took: 543 * time.Millisecond},
			{Kind: journal.Operator, Time: at(26 * time.Minute), Virtual: "shop", Text: "anna disabled 10.0.1.103:80 of shop: new kernel.", Steps: []string{"-d -t 192.0.2.11:443 -r 10.0.1.103:80"}},
			{Kind: journal.Operator, Time: at(6 * time.Minute), Virtual: "web", Text: "anna drains 10.0.0.104:80 of web, for 30 min at most: new kernel.", Steps: []string{"-e -t 192.0.2.10:443 -r 10.0.0.104:80 -g -w 0"}},
			{Kind: journal.Verdict, Time: at(190 * time.Second), Virtual: "web", Real: "10.0.0.103:80", Cause: "no answer within 5 s", Text: "10.0.0.103:80 of web is down after 2 bad checks: no answer within 5 s; its weight went from 100 to 0.", Steps: []string{"-e -t 192.0.2.10:443 -r 10.0.0.103:80 -g -w 0"}, Took: 1700 * time.Microsecond},
			{Kind: journal.Verdict, Time: at(109 * time.Second), Virtual: "mail", Real: "10.0.2.102:80", Cause: "connect: connection refused", Text: "10.0.2.102:80 of mail is down after 2 bad checks: connection refused; its weight went from 100 to 0.", Steps: []string{"-e -t 192.0.2.12:25 -r 10.0.2.102:80 -g -w 0"}},
			{Kind: journal.Virtual, Time: at(100 * time.Second), Virtual: "mail", Text: "mail is served by its fallback 127.0.0.1:25: no real server is up.", Steps: []string{"-a -t 192.0.2.12:25 -r 127.0.0.1:25 -g -w 1"}},
		}
	}
	return []journal.Entry{{Kind: journal.Daemon, Time: at(71 * time.Hour), Text: "The director started."}}
}
