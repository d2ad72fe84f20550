package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/ipvsd/ipvsd/director/journal"
)

// JournalPage is the answer of /api/v1/journal. docs/explain.md has its schema.
type JournalPage struct {
	Entries []journal.Entry `json:"entries"` // what happened, the oldest first
	Last    uint64          `json:"last"`    // the number of the newest entry there is, whether asked for or not
}

// maxEntries are in an answer unless limit asks for fewer.
const maxEntries = 1000

// serveJournal answers with the entries that the query asks for: of kind, real,
// virtual; after a number the oldest of them, else the newest.
func (p *pages) serveJournal(w http.ResponseWriter, r *http.Request) {
	q, err := readQuery(r.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	page := JournalPage{Entries: []journal.Entry{}}
	if j := p.feed.journal; j != nil {
		page.Last = j.Last()
		page.Entries = append(page.Entries, journal.Select(j.Since(q.After, 0), q)...)
	}
	w.Header().Set("Content-Type", "application/json")
	body, done := compressed(w, r)
	defer done()
	if err := json.NewEncoder(body).Encode(page); err != nil {
		p.log.Debug("journal not delivered", "client", r.RemoteAddr, "err", err)
	}
}

// readQuery reads the parameters of a request, all of which may be left out.
func readQuery(v url.Values) (journal.Query, error) {
	q := journal.Query{Limit: maxEntries, Newest: !v.Has("after"), Real: v.Get("real"), Virtual: v.Get("virtual")}
	for name := range v {
		if !slices.Contains([]string{"after", "limit", "real", "virtual", "kind"}, name) {
			return q, fmt.Errorf("unknown parameter %q; there are after, limit, real, virtual and kind", name)
		}
	}
	var err error
	if v.Has("after") {
		if q.After, err = strconv.ParseUint(v.Get("after"), 10, 64); err != nil {
			return q, fmt.Errorf("after=%s: the number of an entry is wanted", v.Get("after"))
		}
	}
	if v.Has("limit") {
		if q.Limit, err = strconv.Atoi(v.Get("limit")); err != nil || q.Limit < 1 || q.Limit > maxEntries {
			return q, fmt.Errorf("limit=%s: a number from 1 to %d is wanted", v.Get("limit"), maxEntries)
		}
	}
	for _, list := range v["kind"] {
		for word := range strings.SplitSeq(list, ",") {
			if !slices.Contains(journal.Kinds, journal.Kind(word)) {
				return q, fmt.Errorf("kind=%s: there are %s", word, kindList())
			}
			q.Kinds = append(q.Kinds, journal.Kind(word))
		}
	}
	return q, nil
}

func kindList() string {
	words := make([]string, len(journal.Kinds))
	for i, k := range journal.Kinds {
		words[i] = string(k)
	}
	return strings.Join(words, ", ")
}

// Journal asks for all entries that the director holds, the oldest first.
// [ErrNoDaemon] is in its error when nobody listens.
func (c *Client) Journal(ctx context.Context) ([]journal.Entry, error) {
	var all []journal.Entry
	for after := uint64(0); ; {
		var page JournalPage
		if err := c.get(ctx, "/v1/journal?after="+strconv.FormatUint(after, 10), &page); err != nil {
			return nil, err
		}
		all = append(all, page.Entries...)
		if len(page.Entries) == 0 || page.Entries[len(page.Entries)-1].Seq >= page.Last {
			return all, nil
		}
		next := page.Entries[len(page.Entries)-1].Seq
		if next <= after {
			return nil, errors.New("the director's journal goes backwards; does it run another version?")
		}
		after = next
	}
}
