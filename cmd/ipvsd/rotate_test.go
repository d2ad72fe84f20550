package main

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ipvsd/ipvsd/cluster/gossip"
)

func TestPrintRotation(t *testing.T) {
	var out bytes.Buffer
	a := gossip.Rotation{Key: "0a0b0c0d", Done: true, Steps: []gossip.RotationStep{
		{Step: "ready", Director: "loadb2", OK: true},
		{Step: "install", Director: "loadb2", Text: "doesn't answer"},
	}}
	if err := printRotation(&out, &a); err != nil {
		t.Fatal(err)
	}
	want := `ready    loadb2           done
install  loadb2           doesn't answer
all directors use the new key, fingerprint 0a0b0c0d, and no other
`
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", out.String(), want)
	}
	a.Done, a.Stands = false, "Nothing was changed: loadb2 is dead."
	if err := printRotation(&out, &a); err == nil || err.Error() != "cluster rotate: "+a.Stands {
		t.Error(err)
	}
	b, err := json.Marshal(a)
	if err != nil || !strings.Contains(string(b), `"stands":"Nothing`) {
		t.Errorf("%s, %v", b, err)
	}
}

// A single director has no key to rotate.
func TestRotateAlone(t *testing.T) {
	for body, want := range map[string]int{`{}`: 409, `{"anew":true}`: 409, `nonsense`: 400} {
		rec := httptest.NewRecorder()
		rotateHandler(nil).ServeHTTP(rec, httptest.NewRequest("POST", "/v1/cluster/rotate", strings.NewReader(body)))
		if rec.Code != want {
			t.Errorf("%s: %d %s, want %d", body, rec.Code, rec.Body, want)
		}
	}
}

// What lowers a director's priority, and who had the addresses before, are in
// the status for people.
func TestStatusTellsWhy(t *testing.T) {
	st := clusterOf("loadb1")
	st.Cluster.Members[1].Faults = "1 of 3 real servers are up here, 3 on loadb1 (priority -20)"
	last := lastFailover
	last.From = "loadb2"
	st.Cluster.Groups[0].Last = &last
	var out bytes.Buffer
	if err := renderStatus(&out, st, renderOptions{now: statusNow}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{st.Cluster.Members[1].Faults, "of web from loadb2 to this director"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
}
