package install

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/test/lab"
)

// machine is a host with a disk, dpkg and systemd of its own.
type machine struct {
	*lab.Host
	t     *testing.T
	enter []string // the command before one that runs on the machine

	// Before anything was installed:
	users   string   // /etc/passwd and /etc/group
	written []string // what the boot itself wrote to the disk
}

// patience is for what a starved lab does in its own time.
const patience = 60 * time.Second

// boot starts systemd on a host.
func boot(t *testing.T, h *lab.Host) *machine {
	t.Helper()
	// Its own cgroups; then as PID 1, which dies with who started it.
	init := h.Start("bash", "-c", `set -eu
		mount -t cgroup2 cgroup2 /sys/fs/cgroup
		mkdir /sys/fs/cgroup/`+h.Name+`
		echo $$ >/sys/fs/cgroup/`+h.Name+`/cgroup.procs
		container=lab exec unshare --mount --pid --cgroup --fork --kill-child bash testdata/machine.sh`)
	m := &machine{Host: h, t: t}
	lab.Eventually(t, patience, h.Name+" runs systemd", func() bool {
		children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", init.PID()))
		pid := strings.TrimSpace(string(children))
		if err != nil || pid == "" {
			if !init.Running() {
				t.Fatalf("%s did not boot:\n%s", h.Name, init.Output())
			}
			return false
		}
		comm, _ := os.ReadFile("/proc/" + pid + "/comm")
		m.enter = []string{"nsenter", "-t", pid, "-m", "-p", "-C", "--"}
		_, err = os.Stat("/proc/" + pid + "/root/run/systemd/private")
		return string(comm) == "systemd\n" && err == nil
	})
	m.run("systemctl", "start", "machine.target")
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := m.try("journalctl", "--no-pager", "-o", "short-precise", "-u", "ipvsd", "-u", "ipvsd-realserver")
			t.Logf("%s: journal\n%s", h.Name, out)
		}
	})
	m.users, m.written = m.run("cat", "/etc/passwd", "/etc/group"), m.disk()
	return m
}

func (m *machine) try(argv ...string) (string, error) {
	return m.Try(append(slices.Clone(m.enter), argv...)...)
}

func (m *machine) run(argv ...string) string {
	m.t.Helper()
	return m.Run(append(slices.Clone(m.enter), argv...)...)
}

// is tells whether a command succeeds.
func (m *machine) is(argv ...string) bool {
	_, err := m.try(argv...)
	return err == nil
}

func (m *machine) dpkg(args ...string) string {
	m.t.Helper()
	return m.run(append([]string{"dpkg"}, args...)...)
}

func (m *machine) write(path, text string) {
	m.t.Helper()
	m.run("sh", "-c", `printf %s "$1" >"$2"`, "sh", text, path)
}

// pid is the director's process on the machine.
func (m *machine) pid() string {
	m.t.Helper()
	return strings.TrimSpace(m.run("systemctl", "show", "-P", "MainPID", "ipvsd"))
}

// status is what the director says, empty while none runs. It costs the lab no
// process.
func (m *machine) status() (s director.Status) {
	m.t.Helper()
	answer, err := m.Get("http://127.0.0.1:9117/api/v1/status", time.Second)
	if err != nil {
		return s
	}
	if err := json.Unmarshal([]byte(answer), &s); err != nil {
		m.t.Fatalf("%s: /api/v1/status: %v\n%s", m.Name, err, answer)
	}
	return s
}

// runs waits until the director of a version is ready and every real server up.
func (m *machine) runs(version string) {
	m.t.Helper()
	lab.Eventually(m.t, patience, version+" runs on "+m.Name+" and all real servers are up", func() bool {
		s := m.status()
		for _, v := range s.Virtuals {
			if slices.ContainsFunc(v.Reals, func(r director.RealStatus) bool { return r.State != director.StateUp }) {
				return false
			}
		}
		return s.Ready && s.Version == version
	})
}

// disk lists what was written to the disk, deletions too, but for logs.
func (m *machine) disk() []string {
	m.t.Helper()
	return strings.Fields(m.run("find", "/mnt", "!", "-type", "d", "!", "-path", "/mnt/var/log/*"))
}

// clean tells what the package left behind after its purge.
func (m *machine) clean() {
	m.t.Helper()
	users := []string{
		"/mnt/etc/passwd", "/mnt/etc/passwd-", "/mnt/etc/group", "/mnt/etc/group-", "/mnt/etc/shadow", "/mnt/etc/shadow-",
		"/mnt/etc/gshadow", "/mnt/etc/gshadow-", "/mnt/etc/.pwd.lock",
		"/mnt/etc/subuid", "/mnt/etc/subuid-", "/mnt/etc/subgid", "/mnt/etc/subgid-",
	}
	for _, file := range m.disk() {
		if !slices.Contains(users, file) && !slices.Contains(m.written, file) {
			m.t.Errorf("%s: the package left %s", m.Name, strings.TrimPrefix(file, "/mnt"))
		}
	}
	for _, dir := range []string{"/var/lib/dpkg/info/ipvsd.list", "/etc/ipvsd", "/var/lib/ipvsd", "/run/ipvsd", "/usr/share/doc/ipvsd"} {
		if m.is("test", "-e", dir) {
			m.t.Errorf("%s: the package left %s", m.Name, dir)
		}
	}
	if left := m.run("find", "/etc/systemd/system", "!", "-type", "d"); left != "" {
		m.t.Errorf("%s: the package left units or links:\n%s", m.Name, left)
	}
	if now := m.run("cat", "/etc/passwd", "/etc/group"); now != m.users {
		m.t.Errorf("%s: users and groups were\n%s\nand are\n%s", m.Name, m.users, now)
	}
}
