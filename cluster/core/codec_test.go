package core

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func fullAdvert(groups, peers, name int) *Message {
	a := &Advert{
		Interval: 100, Suspect: 300, Dead: 600, Fence: 4000, Flags: Starved | NoReach, Directors: 9, Reach: 1, Witnesses: 2,
		Fingerprint: 0xdeadbeefcafe, MACs: []MAC{{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}},
	}
	for i := range peers {
		n := fmt.Sprintf("%s%d", strings.Repeat("n", name-1), i)
		a.Heard = append(a.Heard, Heard{n, 1, 2, 3})
	}
	for i := range groups {
		a.Groups = append(a.Groups, GroupState{
			ID: GroupID(i), State: Standby, Flags: Eligible, Priority: 100, Term: 7,
			Holder: a.Heard[i%peers].Node, HolderTerm: 7,
		})
	}
	return &Message{Kind: KindAdvert, From: strings.Repeat("s", name), Boot: 1 << 60, Seq: 99, Advert: a}
}

func TestCodecSize(t *testing.T) {
	for _, name := range []int{8, 32, MaxName} {
		b, err := fullAdvert(16, 8, name).Encode()
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("16 groups, 8 directors, names of %d bytes: %d bytes", name, len(b))
		if len(b) > 1200 {
			t.Errorf("%d bytes: more than one packet", len(b))
		}
	}
}

func seeds() []*Message {
	m := []*Message{fullAdvert(2, 2, 6), fullAdvert(16, 8, 20), {Kind: KindLeave, From: "lb1", Boot: 5, Seq: 1}}
	for k := KindHandover; k <= KindRequest; k++ {
		m = append(m, &Message{Kind: k, From: "lb1", Boot: 9, Seq: 4, Group: 77, Term: 3, Node: "lb2", Planned: true, Operator: k%2 == 0})
	}
	return m
}

func TestCodecRoundTrip(t *testing.T) {
	for _, m := range seeds() {
		b, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(b)
		if err != nil {
			t.Fatalf("%s: %v", m.Kind, err)
		}
		if d := cmp.Diff(m, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", m.Kind, d)
		}
		for n := range b {
			if _, err := Decode(b[:n]); err == nil {
				t.Errorf("%s: accepted when cut to %d of %d bytes", m.Kind, n, len(b))
			}
		}
		if _, err := Decode(append(b, 0)); err == nil {
			t.Errorf("%s: accepted with a byte too many", m.Kind)
		}
		b[0]++
		if _, err := Decode(b); err == nil || !strings.Contains(err.Error(), "version 2") {
			t.Errorf("another version: %v", err)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	for name, m := range map[string]*Message{
		"no sender":         {Kind: KindLeave},
		"an unknown kind":   {Kind: 99, From: "lb1"},
		"an advert without": {Kind: KindAdvert, From: "lb1"},
		"a long name":       {Kind: KindLeave, From: strings.Repeat("x", 64)},
		"many groups":       {Kind: KindAdvert, From: "lb1", Advert: &Advert{Groups: make([]GroupState, MaxGroups+1)}},
		"many directors":    {Kind: KindAdvert, From: "lb1", Advert: &Advert{Heard: make([]Heard, MaxPeers+1)}},
	} {
		if _, err := m.Encode(); err == nil {
			t.Errorf("%s: encoded", name)
		}
	}
}

// FuzzDecode feeds bytes of strangers: no panic, and what is accepted means the
// same after another turn, in no more bytes.
func FuzzDecode(f *testing.F) {
	for _, m := range seeds() {
		b, err := m.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Decode(b)
		if err != nil {
			return
		}
		again, err := m.Encode()
		if err != nil {
			t.Fatalf("decoded, but can't be encoded: %v", err)
		}
		if len(again) > len(b) {
			t.Fatalf("%d bytes became %d", len(b), len(again))
		}
		m2, err := Decode(again)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(m, m2); d != "" {
			t.Fatalf("(-first +second):\n%s", d)
		}
		third, _ := m2.Encode()
		if !bytes.Equal(again, third) {
			t.Fatal("not one form")
		}
		c := New(Config{Name: "lb1", Boot: 1, Directors: 2, Groups: []Group{{Name: "web"}}})
		c.Step(0, Tick{})
		c.Step(1, Received{m})
		c.Step(2, Received{m2})
	})
}
