package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
)

// badWish says what is wrong with a wish that came over the control socket.
type badWish string

func (b badWish) Error() string { return string(b) }

// wishHandler serves a verb of the control socket: it reads the wish, and writes
// what do answers, or why it can't.
func wishHandler[Wish, Answer any](do func(context.Context, Wish) (Answer, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var wish Wish
		if !readWish(w, r, &wish) {
			return
		}
		a, err := do(r.Context(), wish)
		if err != nil {
			status := http.StatusConflict
			if _, bad := errors.AsType[badWish](err); bad {
				status = http.StatusBadRequest
			}
			http.Error(w, err.Error(), status)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(a) // a client that left hears nothing
	})
}

// readWish reads a request's body; where it isn't a wish, it says so.
func readWish(w http.ResponseWriter, r *http.Request, wish any) bool {
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<10)).Decode(wish); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return false
	}
	return true
}

// printJSON writes what --json shows.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
