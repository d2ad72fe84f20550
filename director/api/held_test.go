package api

import (
	"testing"

	"github.com/ipvsd/ipvsd/director"
)

// TestMetricsHeld: a real server that a person holds back keeps its check's
// verdict, so that an alert on it doesn't depend on who works on it.
func TestMetricsHeld(t *testing.T) {
	st := testStatus()
	one, two := &st.Virtuals[0].Reals[0], &st.Virtuals[0].Reals[1]
	one.State, one.Verdict = director.StateDraining, director.StateUp
	two.State, two.Verdict = director.StateDisabled, director.StateDown
	off := &st.Virtuals[1].Reals[0]
	off.State, off.Verdict, off.Address = director.StateMaintenance, director.StateUnchecked, "[fd00::101]:80"
	text, _ := mustScrape(t, NewMetrics("1.2.3"), st, "")
	got := flat(mustParse(t, text))
	const mark = "mark \"one\" \\ two\nlines \ufffd"
	for series, want := range map[string]float64{
		"ipvsd_real_server_up{virtual=web,real=192.168.0.101:80}":              1,
		"ipvsd_real_server_up{virtual=web,real=192.168.0.102:80}":              0,
		"ipvsd_real_server_up{virtual=" + mark + ",real=[fd00::101]:80}":       0,
		"ipvsd_real_server_draining{virtual=web,real=192.168.0.101:80}":        1,
		"ipvsd_real_server_draining{virtual=web,real=192.168.0.102:80}":        0,
		"ipvsd_real_server_disabled{virtual=web,real=192.168.0.101:80}":        0,
		"ipvsd_real_server_disabled{virtual=web,real=192.168.0.102:80}":        1,
		"ipvsd_real_server_disabled{virtual=" + mark + ",real=[fd00::101]:80}": 1,
		"ipvsd_checks_total{virtual=web,real=192.168.0.102:80,result=failed}":  3,
	} {
		if v, ok := got[series]; !ok || v != want {
			t.Errorf("%s is %v, %v; want %v", series, v, ok, want)
		}
	}
}
