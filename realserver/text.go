package realserver

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// WriteText prints a report for people.
func (r Report) WriteText(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, v := range r.VIPs {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", v.Addr, v.Method, v.place(), v.served())
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if r.Persist != "" {
		fmt.Fprintf(w, "comes back after a reboot through %s\n", r.Persist)
	}
	for _, f := range r.Missing {
		f.write(w, "missing: ")
	}
	for _, f := range r.Notes {
		f.write(w, "note: ")
	}
	if r.OK() {
		fmt.Fprintln(w, "nothing is missing")
	}
	return nil
}

func (v VIPReport) place() string {
	switch {
	case v.Method == NAT:
		return "on the director only"
	case v.Link == "":
		return "not on " + v.VIP.Link()
	case v.Label != "" && v.Label != v.Link:
		return fmt.Sprintf("on %s (label %s)", v.Link, v.Label)
	}
	return "on " + v.Link
}

func (v VIPReport) served() string {
	if len(v.Servers) == 0 {
		return "" // a note says so, or nat
	}
	words := make([]string, len(v.Servers))
	for i, s := range v.Servers {
		words[i] = s.String()
		if v.Addr.Is4() && s.Addr.Addr().Is6() {
			words[i] += " (if it takes IPv4)"
		}
	}
	return "served on " + strings.Join(words, ", ")
}

func (f Finding) write(w io.Writer, kind string) {
	fmt.Fprintf(w, "%s%s\n", kind, f.What)
	if f.Why != "" {
		fmt.Fprintf(w, "  why:  %s\n", f.Why)
	}
	if f.Cure != "" {
		fmt.Fprintf(w, "  cure: %s\n", f.Cure)
	}
}
