package convert

import (
	"errors"
	"strings"

	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/config/convert/emit"
)

// Settle makes a document valid: what director/config refuses becomes a comment
// in it, and tell is told the table and the reason. A check that is refused
// becomes one of type off, so that its virtual service stays. An importer that
// knows its way needs this only for what it didn't foresee.
func Settle(doc *emit.Document, tell func(t *emit.Table, what string)) {
	for range 20 { // each round turns something off, which may bring other errors to light
		_, _, err := config.Parse("", doc.Bytes())
		if err == nil {
			return
		}
		var problems config.Errors
		if !errors.As(err, &problems) {
			return
		}
		at := doc.Places()
		done := make(map[*emit.Table]bool)
		for _, p := range problems {
			path := at(p.Line)
			if len(path) == 0 {
				continue
			}
			t := path[len(path)-1]
			if done[t] {
				continue
			}
			done[t] = true
			if strings.HasSuffix(t.Name(), ".check") && !t.IsOff() {
				t.AllOff()
				t.Set("type", "off").On()
				tell(t, p.Text+`; the check is in the output as a comment, and type = "off" instead of it`)
				continue
			}
			t.Off()
			tell(t, p.Text+"; it is in the output as a comment")
		}
	}
	for _, t := range doc.Arrays("virtual") {
		t.Off()
		tell(t, "it can't be made valid; it is in the output as a comment")
	}
}
