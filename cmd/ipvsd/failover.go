package main

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/director/api"
)

// failoverWish is what `ipvsd failover` says to the director.
type failoverWish struct {
	Group string `json:"group"` // "": all
	To    string `json:"to"`    // "": the best one
}

func newFailoverCommand(e *env) *cobra.Command {
	var socket string
	var wish failoverWish
	c := &cobra.Command{
		Use:   "failover",
		Short: "Have the active director hand over; print how long nobody held the addresses",
		Long: `Asks the cluster to move its addresses to another director, by a planned hand-over
in which the successor takes them before the holder lets go. May be run on any
director. Exit status: 0 moved, 1 not, with the reason.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var a director.FailoverAnswer
			if err := api.NewClient(socket).Post(cmd.Context(), "/v1/failover", wish, &a); err != nil {
				return err
			}
			if !a.OK {
				return fmt.Errorf("failover: %s", a.Reason)
			}
			_, err := fmt.Fprintf(e.stdout, "%s; the addresses were nobody's for %.0f ms\n", a.Reason, 1000*a.Nobody)
			return err
		},
	}
	c.Flags().StringVar(&wish.To, "to", "", "the director that shall have them (default: the best)")
	c.Flags().StringVar(&wish.Group, "group", "", "only this group of addresses")
	socketFlag(c, &socket)
	return c
}

// failoverHandler serves the wish on the control socket.
func failoverHandler(m *director.Member) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var wish failoverWish
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<10)).Decode(&wish); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if m == nil {
			http.Error(w, "this director is alone: the file has no [cluster]", http.StatusConflict)
			return
		}
		a, err := m.Failover(r.Context(), wish.Group, wish.To)
		if err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(a) // a client that left hears nothing
	})
}
