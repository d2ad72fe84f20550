package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// The variables by which a process learns its part in the lab.
const (
	envInside = "IPVSD_LAB_INSIDE" // set for the job: "uml" or "direct"
	envWay    = "IPVSD_LAB_WAY"    // set by the user: forces "uml" or "direct"
	envDir    = "IPVSD_LAB_DIR"    // set for PID 1 of the lab: the folder that holds job.json
	envKeeper = "IPVSD_LAB_KEEPER" // set for the keeper: the same folder
)

const (
	bootLimit    = 60 * time.Second
	defaultLimit = 10 * time.Minute
	defaultMem   = "2G"
)

// A Job is one command to run inside the lab.
type Job struct {
	Argv     []string      // Argv[0] is looked up in PATH on the host
	Dir      string        // working directory; empty means the caller's
	Env      []string      // empty means the caller's
	Mem      string        // memory of the lab kernel, "2G" if empty
	Limit    time.Duration // the lab is killed after this time; 10 minutes if zero
	Writable []string      // host folders whose changes shall outlive the lab
	Stdout   io.Writer     // nil discards
	Stderr   io.Writer     // nil discards
}

// result is what PID 1 of the lab leaves in the folder before it ends.
type result struct {
	Exit int
	Err  string // the lab could not run the job
}

// Inside reports whether this process runs inside a lab.
func Inside() bool { return os.Getenv(envInside) != "" }

// MaybeInit must be the first call of any program that calls [Exec] or [Main]. It returns at once, unless this process
// was started by the harness as a part of the lab (keeper, PID 1, modprobe); then it does that part and never returns.
func MaybeInit() {
	switch {
	case os.Getenv(envKeeper) != "":
		keeperMain(os.Getenv(envKeeper))
	case os.Getpid() == 1 && os.Getenv(envDir) != "":
		initMain(os.Getenv(envDir))
	case filepath.Base(os.Args[0]) == "modprobe" && fileExists(labRun):
		os.Exit(modprobeMain(os.Args[1:]))
	}
}

// Main runs the tests inside the lab and exits with their status. Call it from TestMain; m is the *testing.M. Outside
// of a lab it boots one and runs this same test binary there with the same arguments.
func Main(m interface{ Run() int }) {
	MaybeInit()
	if Inside() {
		os.Exit(m.Run())
	}
	exe, err := os.Executable()
	if err != nil {
		fmt.Fprintf(os.Stderr, "lab: find the test binary: %v\n", err)
		os.Exit(2)
	}
	os.Exit(Run(append([]string{exe}, os.Args[1:]...)))
}

// Run is [Exec] for a whole program: it runs argv in the lab on this process's stdout and stderr, ends it on SIGINT and
// SIGTERM, says on stderr what went wrong and returns the status to exit with. If argv is a Go test binary, its
// -test.timeout becomes the limit of the lab and the folders of its -test.coverprofile and the like become writable.
func Run(argv []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	limit, writable := testFlags(argv[1:])
	if d := os.Getenv("GOCOVERDIR"); d != "" {
		writable = append(writable, d)
	}
	status, err := Exec(ctx, Job{
		Argv: argv, Limit: limit, Writable: writable,
		Stdout: os.Stdout, Stderr: os.Stderr,
	})
	if err != nil {
		fmt.Fprintf(os.Stderr, "lab: %v\n", err)
		return max(status, 2)
	}
	return status
}

// testFlags reads what the lab must know from the arguments of a test binary. The lab gets 30 s more than the tests: the
// test binary shall reach its own limit first and print its goroutines.
func testFlags(args []string) (limit time.Duration, writable []string) {
	outdir := ""
	var files []string
	for _, a := range args {
		k, v, ok := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(a, "-"), "-"), "=")
		if !ok {
			continue
		}
		switch k {
		case "test.timeout":
			if d, err := time.ParseDuration(v); err == nil && d > 0 {
				limit = d + 30*time.Second
			}
		case "test.outputdir":
			outdir = v
			writable = append(writable, v)
		case "test.gocoverdir":
			writable = append(writable, v)
		case "test.coverprofile", "test.cpuprofile", "test.memprofile", "test.blockprofile", "test.mutexprofile",
			"test.trace", "test.testlogfile":
			files = append(files, v)
		}
	}
	for _, f := range files {
		if !filepath.IsAbs(f) && outdir != "" {
			f = filepath.Join(outdir, f)
		}
		writable = append(writable, filepath.Dir(f))
	}
	return limit, writable
}

// Exec runs a job in the lab and returns its exit status (128+n if signal n killed it). An error means that the lab did
// not boot, or did not live until the job's end: ctx ended, the limit was reached, the kernel died.
// Inside a lab it runs the job right there.
func Exec(ctx context.Context, job Job) (exitStatus int, err error) {
	if os.Getenv(envKeeper) != "" || os.Getenv(envDir) != "" {
		// We are the keeper and do not know it; going on would start keepers without end.
		panic("lab: main does not call lab.MaybeInit first")
	}
	if err := job.complete(); err != nil {
		return 2, err
	}
	if Inside() {
		return job.runHere(ctx)
	}
	way, err := chooseWay()
	if err != nil {
		return 2, err
	}
	dir, err := os.MkdirTemp("", "ipvsd-lab-")
	if err != nil {
		return 2, err
	}
	// The keeper removes the folder as well; this is for the case that it never came to life.
	defer os.RemoveAll(dir)
	if err := prepare(dir, way, &job); err != nil {
		return 2, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, job.Limit, fmt.Errorf("killed after its time limit of %v", job.Limit))
	defer cancel()
	return keep(ctx, dir, way, job)
}

func (job *Job) complete() error {
	if len(job.Argv) == 0 {
		return errors.New("no command given")
	}
	if job.Dir == "" {
		wd, err := os.Getwd()
		if err != nil {
			return err
		}
		job.Dir = wd
	}
	if len(job.Env) == 0 {
		job.Env = os.Environ()
	}
	if job.Mem == "" {
		job.Mem = defaultMem
	}
	if job.Limit == 0 {
		job.Limit = defaultLimit
	}
	if job.Stdout == nil {
		job.Stdout = io.Discard
	}
	if job.Stderr == nil {
		job.Stderr = io.Discard
	}
	var w []string
	for _, d := range job.Writable {
		if !filepath.IsAbs(d) {
			d = filepath.Join(job.Dir, d)
		}
		if fileExists(d) {
			w = append(w, d)
		}
	}
	job.Writable = w
	return nil
}

func (job Job) runHere(ctx context.Context) (int, error) {
	cmd := exec.CommandContext(ctx, job.Argv[0], job.Argv[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = job.Dir, job.Env, job.Stdout, job.Stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return waitStatus(exit.Sys().(syscall.WaitStatus)), nil
	}
	if err != nil {
		return 2, err
	}
	return 0, nil
}

func waitStatus(ws syscall.WaitStatus) int {
	if ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return ws.ExitStatus()
}

// keep starts the keeper, relays what the job prints, and waits for the end of the lab.
func keep(ctx context.Context, dir string, way way, job Job) (int, error) {
	exe, err := os.Executable()
	if err != nil {
		return 2, err
	}
	var files []*os.File // the keeper's ends
	var relays sync.WaitGroup
	console := &tail{max: 64 << 10}
	for _, w := range []io.Writer{job.Stdout, job.Stderr, console} {
		r, pw, err := os.Pipe()
		if err != nil {
			return 2, err
		}
		files = append(files, pw)
		relays.Go(func() {
			defer r.Close()
			if _, err := io.Copy(w, r); err != nil {
				_, _ = io.Copy(io.Discard, r) // nobody listens any more; the lab shall not block on that
			}
		})
	}
	var out bytes.Buffer
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), envKeeper+"="+dir)
	cmd.ExtraFiles = files
	cmd.Stdout = &out
	cmd.Stderr = console
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C is for us alone
	leash, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	for _, f := range files {
		f.Close()
	}
	if err != nil {
		relays.Wait()
		return 2, fmt.Errorf("start the keeper of the lab: %v", err)
	}

	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	boot := time.NewTimer(bootLimit)
	defer boot.Stop()
	var cause error
	select {
	case err = <-ended:
	case <-ctx.Done():
		cause = context.Cause(ctx)
	case <-boot.C:
		if !fileExists(filepath.Join(dir, "started")) {
			cause = fmt.Errorf("did not boot within %v", bootLimit)
			break
		}
		select {
		case err = <-ended:
		case <-ctx.Done():
			cause = context.Cause(ctx)
		}
	}
	if cause != nil {
		leash.Close() // the keeper kills the lab
		err = <-ended
	}
	relays.Wait()

	var res result
	switch {
	case cause != nil:
		return 2, fmt.Errorf("%s: %w%s", way, cause, console.quote(!errors.Is(cause, context.Canceled)))
	case err != nil:
		return 2, fmt.Errorf("%s: keeper: %v%s", way, err, console.quote(true))
	case json.Unmarshal(out.Bytes(), &res) != nil:
		return 2, fmt.Errorf("%s: the lab ended without a result; is the package %s whole?%s",
			way, umlPackage, console.quote(true))
	case res.Err != "":
		return 2, fmt.Errorf("%s: %s%s", way, res.Err, console.quote(true))
	}
	return res.Exit, nil
}

// tail keeps the last max bytes of the kernel's console.
type tail struct {
	mu  sync.Mutex
	max int
	b   []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if n := len(t.b) - t.max; n > 0 {
		t.b = append(t.b[:0], t.b[n:]...)
	}
	return len(p), nil
}

func (t *tail) quote(want bool) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := strings.TrimSpace(strings.ReplaceAll(string(t.b), "\r", ""))
	if !want || s == "" {
		return ""
	}
	return "\n--- console of the lab kernel\n" + s + "\n---"
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
