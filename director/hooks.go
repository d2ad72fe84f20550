package director

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ipvsd/ipvsd/cluster"
	"github.com/ipvsd/ipvsd/director/config"
)

// hooks runs the commands of [cluster.hooks]. The cluster calls it from a
// goroutine of its own, so that a slow command is never in the way of a move.
type hooks struct {
	log   *slog.Logger
	hooks config.Hooks
	name  string // of this director
}

// run runs the command for a change of role until it succeeds or its tries are
// used up. Its environment says what happened:
//
//	IPVSD_GROUP, IPVSD_ROLE (active, standby, fault), IPVSD_PREVIOUS,
//	IPVSD_NAME, IPVSD_HOLDER, IPVSD_TERM, IPVSD_REASON
func (h hooks) run(e cluster.Event) {
	command := map[cluster.Role]string{
		cluster.Active: h.hooks.Active, cluster.Standby: h.hooks.Standby, cluster.Fault: h.hooks.Fault,
	}[e.To]
	if command == "" {
		return
	}
	argv := strings.Split(command, "\x00")
	for try := range h.hooks.Retries + 1 {
		if try > 0 {
			time.Sleep(h.hooks.RetryInterval)
		}
		out, err := h.once(argv, e)
		attrs := []any{"role", string(e.To), "group", e.Group, "command", argv[0], "try", try + 1, "output", out}
		if err == nil {
			h.log.Info("hook", attrs...)
			return
		}
		h.log.Warn("hook failed", append(attrs, "err", err)...)
	}
}

func (h hooks) once(argv []string, e cluster.Event) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), h.hooks.Timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(),
		"IPVSD_GROUP="+e.Group, "IPVSD_ROLE="+string(e.To), "IPVSD_PREVIOUS="+string(e.From),
		"IPVSD_NAME="+h.name, "IPVSD_HOLDER="+e.Holder,
		"IPVSD_TERM="+strconv.FormatUint(uint64(e.Term), 10), "IPVSD_REASON="+e.Reason.String())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	const shown = 256
	text := strings.TrimSpace(string(out[max(0, len(out)-shown):]))
	return text, err
}
