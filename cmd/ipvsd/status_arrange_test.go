package main

import (
	"strings"
	"testing"

	"github.com/ipvsd/ipvsd/director"
)

func TestArrange(t *testing.T) {
	all := []director.VirtualStatus{
		{Name: "web", Service: "192.0.2.1:80/tcp", Up: true, Reals: []director.RealStatus{
			{Address: "192.0.2.11:80", State: director.StateUp, Active: 5},
			{Address: "192.0.2.12:80", State: director.StateDown, Reason: "Connection refused"},
			{Address: "192.0.2.10:80", State: director.StateDraining, Active: 9},
		}},
		{Name: "Dns", Service: "192.0.2.1:53/udp", Up: true, Reals: []director.RealStatus{
			{Address: "192.0.2.13:53", State: director.StateUp, Active: 100},
		}},
		{Name: "mail", Service: "192.0.2.1:25/tcp", Comment: "the old one", Reals: []director.RealStatus{
			{Address: "192.0.2.11:25", State: director.StateDown, Reason: "timed out"},
		}},
	}
	for _, tc := range []struct {
		order        order
		filter, want string
	}{
		{byFile, "", "web 11 12 10, Dns 13, mail 11"},
		{"", "", "web 11 12 10, Dns 13, mail 11"},
		{byTrouble, "", "mail 11, web 12 10 11, Dns 13"},
		{byLoad, "", "Dns 13, web 10 11 12, mail 11"},
		{byName, "", "Dns 13, mail 11, web 10 11 12"},
		{byFile, "dns", "Dns 13"},
		{byFile, "OLD", "mail 11"},
		{byFile, "192.0.2.11", "web 11, mail 11"},
		{byTrouble, "down", "mail 11, web 12"},
		{byFile, "refused", "web 12"},
		{byFile, "nobody", ""},
	} {
		var got []string
		for _, v := range (arrangement{tc.order, tc.filter}).arrange(all) {
			line := v.Name
			for _, r := range v.Reals {
				host, _, _ := strings.Cut(strings.TrimPrefix(r.Address, "192.0.2."), ":")
				line += " " + host
			}
			got = append(got, line)
		}
		if s := strings.Join(got, ", "); s != tc.want {
			t.Errorf("%s, %q: %q, want %q", tc.order, tc.filter, s, tc.want)
		}
	}
	if all[0].Reals[0].Address != "192.0.2.11:80" || len(all[0].Reals) != 3 {
		t.Error("what was given has changed")
	}
}

func TestScreenKeys(t *testing.T) {
	s := screen{height: 24}
	s.arranged.order = byFile
	for _, tc := range []struct {
		key, filter string
		order       order
		typing      bool
		quit        bool
	}{
		{"s", "", byTrouble, false, false},
		{"s", "", byLoad, false, false},
		{"/", "", byLoad, true, false},
		{"q", "q", byLoad, true, false}, // a letter of the filter
		{"wé", "qwé", byLoad, true, false},
		{"\x7f", "qw", byLoad, true, false},
		{"\x1b[A", "qw", byLoad, true, false}, // an arrow is no text
		{"\r", "qw", byLoad, false, false},
		{"/", "qw", byLoad, true, false},
		{"\x1b", "", byLoad, false, false},
		{"/", "", byLoad, true, false},
		{"x\r", "x", byLoad, false, false},
		{"\x1b", "", byLoad, false, false},
		{"q", "", byLoad, false, true},
	} {
		quit := s.press(tc.key)
		if quit != tc.quit || s.arranged.filter != tc.filter || s.arranged.order != tc.order || s.typing != tc.typing {
			t.Errorf("after %q: %+v, quit %v", tc.key, s, quit)
		}
	}
	s.typing = true
	if !s.press("\x03") {
		t.Error("Ctrl-C doesn't quit while a filter is typed")
	}
}
