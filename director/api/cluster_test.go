package api

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/director"
)

// clusterStatus is a director that took web over from one that died, and leaves
// mail to a third.
func clusterStatus() director.Status {
	st := testStatus()
	st.Addresses = append(st.Addresses, director.AddressStatus{Address: "192.168.0.107", State: director.AddressElsewhere, Holder: "lb3"})
	st.Cluster = &director.ClusterStatus{
		Name: "lb1",
		Members: []director.MemberStatus{
			{Name: "lb1", State: "alive", Self: true, Active: []string{"web"}},
			{Name: "lb2", State: "dead"},
			{Name: "lb3", State: "alive", Active: []string{"mail"}, Skew: true},
			{Name: "lb4", State: "puzzled"}, // of a later version
		},
		Groups: []director.ClusterGroupStatus{
			{Name: "web", State: "active", Holder: "lb1", Last: &director.FailoverStatus{
				At: testTime, Suspected: .301, Decided: .604, AddressUp: .606, Announced: .607,
			}},
			{Name: "mail", State: "standby", Holder: "lb3"},
			{Name: "dns", State: "releasing", Holder: "lb1"},
		},
		Transitions: map[string]uint64{"active": 2, "standby": 3},
		Sync:        director.SyncStatus{Enabled: true, Running: true, Known: &director.SyncKnown{Share: .43, Holder: "lb3"}},
	}
	return st
}

func TestMetricsCluster(t *testing.T) {
	m, st := NewMetrics("1.2.3"), clusterStatus()
	st.Cluster.Problems = []string{"the key of lb2 differs"}
	mustScrape(t, m, st, "")
	text, _ := mustScrape(t, m, st, "") // the failover is no second one
	got := flat(mustParse(t, text))
	for series, want := range map[string]float64{
		"ipvsd_cluster_members{state=absent}":                         0,
		"ipvsd_cluster_members{state=alive}":                          2,
		"ipvsd_cluster_members{state=dead}":                           1,
		"ipvsd_cluster_members{state=left}":                           0,
		"ipvsd_cluster_members{state=puzzled}":                        1,
		"ipvsd_cluster_members{state=silent}":                         0,
		"ipvsd_cluster_members{state=suspect}":                        0,
		"ipvsd_cluster_transitions_total{to=active}":                  2,
		"ipvsd_cluster_transitions_total{to=standby}":                 3,
		"ipvsd_cluster_transitions_total{to=fault}":                   0,
		"ipvsd_cluster_group_active{group=web}":                       1,
		"ipvsd_cluster_group_active{group=mail}":                      0,
		"ipvsd_cluster_group_active{group=dns}":                       1,
		"ipvsd_cluster_config_skew":                                   1,
		"ipvsd_cluster_problems":                                      1,
		"ipvsd_cluster_sync_running":                                  1,
		"ipvsd_cluster_sync_known_ratio":                              .43,
		"ipvsd_cluster_active":                                        1,
		"ipvsd_failover_duration_seconds{phase=suspected} count":      1,
		"ipvsd_failover_duration_seconds{phase=decided} count":        1,
		"ipvsd_failover_duration_seconds{phase=address_up} count":     1,
		"ipvsd_failover_duration_seconds{phase=announced} count":      1,
		"ipvsd_address_present{address=192.168.0.105,interface=eth0}": 1,
	} {
		if v, ok := got[series]; !ok {
			t.Errorf("no series %s", series)
		} else if v != want {
			t.Errorf("%s is %v, want %v", series, v, want)
		}
	}
	if strings.Contains(text, `address="192.168.0.107"`) {
		t.Error("an address that another director holds is told as present or missing")
	}
}

// A single director tells nothing of a cluster; a healthy one has the phases
// before its first failover.
func TestMetricsClusterAbsentAndEmpty(t *testing.T) {
	text, _ := mustScrape(t, NewMetrics(""), testStatus(), "")
	for line := range strings.Lines(text) {
		if strings.Contains(line, "ipvsd_failover") || strings.Contains(line, "ipvsd_cluster") && !strings.Contains(line, "ipvsd_cluster_active") {
			t.Errorf("a single director says %s", line)
		}
	}
	st := testStatus()
	st.Cluster = &director.ClusterStatus{}
	text, _ = mustScrape(t, NewMetrics(""), st, "")
	got := flat(mustParse(t, text))
	for _, phase := range phaseNames {
		if n, ok := got["ipvsd_failover_duration_seconds{phase="+phase+"} count"]; !ok || n != 0 {
			t.Errorf("phase %s: %v, %v", phase, n, ok)
		}
	}
	if strings.Contains(text, "ipvsd_cluster_sync") || strings.Contains(text, "ipvsd_cluster_group_active") || got["ipvsd_cluster_config_skew"] != 0 {
		t.Errorf("got:\n%s", text)
	}
}

func TestObserveFailover(t *testing.T) {
	m := NewMetrics("")
	silent := func(at time.Duration) director.FailoverStatus {
		return director.FailoverStatus{At: testTime.Add(at), Suspected: .3, Decided: .6, AddressUp: .61, Announced: .62}
	}
	m.ObserveFailover("web", silent(0))
	m.ObserveFailover("web", silent(0))                                                                // seen again
	m.ObserveFailover("mail", silent(0))                                                               // another group's
	m.ObserveFailover("web", silent(time.Minute))                                                      // a new one
	m.ObserveFailover("web", silent(0))                                                                // of a status that came late
	m.ObserveFailover("web", director.FailoverStatus{At: testTime.Add(time.Hour), AddressUp: .002})    // handed over
	m.ObserveFailover("web", director.FailoverStatus{At: testTime.Add(2 * time.Hour), Announced: .01}) // adopted
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { m.ObserveFailover("dns", silent(0)) })
	}
	all.Wait()
	text, _ := mustScrape(t, m, testStatus(), "")
	got := flat(mustParse(t, text))
	for phase, want := range map[string]float64{"suspected": 4, "decided": 4, "address_up": 5, "announced": 5} {
		if n := got["ipvsd_failover_duration_seconds{phase="+phase+"} count"]; n != want {
			t.Errorf("phase %s observed %v times, want %v", phase, n, want)
		}
	}
}

// Whoever asks for a status makes its failovers count; and JSON has [] and {},
// never null, without a change to what the director gave.
func TestStatusCluster(t *testing.T) {
	source := &fakeSource{status: clusterStatus()}
	m := NewMetrics("")
	h := newPages(source, m, quiet()).public()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest("GET", "/api/v1/status", nil))
	var got struct{ Cluster json.RawMessage }
	if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if text := string(got.Cluster); strings.Contains(text, "null") || !strings.Contains(text, `"problems":[]`) {
		t.Errorf("cluster: %s", text)
	}
	if c := source.status.Cluster; c.Problems != nil || c.Members[1].Active != nil || c.Groups[0].Addresses != nil {
		t.Errorf("the director's own status was changed: %+v", c)
	}
	text, _ := mustScrape(t, m, testStatus(), "")
	if n := flat(mustParse(t, text))["ipvsd_failover_duration_seconds{phase=decided} count"]; n != 1 {
		t.Errorf("observed %v times, want 1", n)
	}
}
