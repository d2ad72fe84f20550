package main

import (
	"context"
	"errors"
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

var errAlone = errors.New("this director is alone: the file has no [cluster]")

// failoverHandler serves the wish on the control socket.
func failoverHandler(m *director.Member) http.Handler {
	return wishHandler(func(ctx context.Context, wish failoverWish) (director.FailoverAnswer, error) {
		if m == nil {
			return director.FailoverAnswer{}, errAlone
		}
		return m.Failover(ctx, wish.Group, wish.To)
	})
}
