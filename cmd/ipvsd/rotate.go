package main

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/ipvsd/ipvsd/cluster/gossip"
	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/director/api"
)

// rotateWish is what `ipvsd cluster rotate` says to the director.
type rotateWish struct {
	Anew bool `json:"anew"`
}

func newRotateCommand(e *env) *cobra.Command {
	var socket string
	var wish rotateWish
	c := &cobra.Command{
		Use:   "rotate",
		Short: "Change the key of all directors, without an outage",
		Long: `Asks the director on this machine to make a new key and to bring it to all others:
all install it beside the old one, then all use it, then all drop the old one,
in memory and in their key files. Each step waits until every director of
[cluster] join has done the one before. Where one is missing or refuses it stops
and says where it stands; nothing is broken then, and to run it again, on any
director that has the new key, goes on.

The key is never shown. It is sealed for each director on its way, so that who
has the old key and listens doesn't learn it; who has it and can put himself
between the directors might: carry the key by hand then ("ipvsd cluster keygen
-h"). A copy of the key file elsewhere, as of a configuration management, has to
be renewed. Exit status: 0 changed, 1 not or not everywhere.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var a gossip.Rotation
			if err := api.NewClient(socket).Post(cmd.Context(), "/v1/cluster/rotate", wish, &a); err != nil {
				return err
			}
			return printRotation(e.stdout, &a)
		},
	}
	c.Flags().BoolVar(&wish.Anew, "anew", false, "give up a rotation that isn't finished and begin another one")
	socketFlag(c, &socket)
	return c
}

// printRotation tells what each director answered.
func printRotation(w io.Writer, a *gossip.Rotation) error {
	for _, s := range a.Steps {
		text := "done"
		if !s.OK {
			text = s.Text
		}
		if _, err := fmt.Fprintf(w, "%-8s %-16s %s\n", s.Step, s.Director, text); err != nil {
			return err
		}
	}
	if !a.Done {
		return fmt.Errorf("cluster rotate: %s", a.Stands)
	}
	_, err := fmt.Fprintf(w, "all directors use the new key, fingerprint %s, and no other\n", a.Key)
	return err
}

// rotateHandler serves the wish on the control socket.
func rotateHandler(m *director.Member) http.Handler {
	return wishHandler(func(ctx context.Context, wish rotateWish) (gossip.Rotation, error) {
		if m == nil {
			return gossip.Rotation{}, errAlone
		}
		return m.Rotate(ctx, wish.Anew)
	})
}
