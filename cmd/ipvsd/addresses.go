package main

import (
	"context"
	"log/slog"

	"github.com/ipvsd/ipvsd/cluster/vip"
	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/director/config"
)

// addresses are what clients reach: kept always by a single director, or by the
// one that the cluster elects.
type addresses struct {
	keeper *vip.Keeper      // nil in a cluster
	member *director.Member // nil for a single director
}

// newAddresses makes what the file asks for and gives it to the director.
func newAddresses(cfg *config.Config, log *slog.Logger, o *director.Options) (addresses, error) {
	if cfg.Cluster == nil {
		a := addresses{keeper: vip.New(vip.Options{Logger: log})}
		o.Addresses = director.KeepAddresses(a.keeper)
		return a, nil
	}
	member, err := director.NewMember(cfg, o.Kernel, o.Journal, log)
	if err != nil {
		return addresses{}, err
	}
	o.Addresses, o.Cluster = member, member
	return addresses{member: member}, nil
}

// run keeps them until ctx ends. They come after the table: no client before
// there is an answer.
func (a addresses) run(ctx context.Context, programmed <-chan struct{}) error {
	if a.member != nil {
		go func() {
			select {
			case <-programmed:
				a.member.Programmed()
			case <-ctx.Done():
			}
		}()
		return a.member.Run(ctx)
	}
	select {
	case <-programmed:
		return a.keeper.Run(ctx)
	case <-ctx.Done():
		return nil
	}
}

// stop gives them up, to another director where there is one.
func (a addresses) stop(ctx context.Context) error {
	if a.member != nil {
		return a.member.Stop(ctx)
	}
	return a.keeper.Release(ctx)
}
