package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/ipvsd/ipvsd/director"
)

// ErrNoDaemon says that nobody listens on the control socket.
var ErrNoDaemon = errors.New("no director is running")

// clientTimeout is longer than a director takes that can't read the kernel.
const clientTimeout = kernelTimeout + 5*time.Second

// Client speaks to a director over its control socket.
type Client struct {
	path string
	http *http.Client
}

// NewClient makes a client of the control socket at path. It doesn't connect.
func NewClient(path string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}
	return &Client{path: path, http: &http.Client{
		Transport: &http.Transport{DialContext: dial, MaxIdleConns: 1, DisableCompression: true},
		Timeout:   clientTimeout,
	}}
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status asks how everything stands. [ErrNoDaemon] is in its error when
// nobody listens.
func (c *Client) Status(ctx context.Context) (director.Status, error) {
	var st director.Status
	err := c.get(ctx, "/v1/status", &st)
	return st, err
}

// Post asks the director to do something, such as "/v1/failover", and reads its
// answer.
func (c *Client) Post(ctx context.Context, path string, wish, answer any) error {
	body, err := json.Marshal(wish)
	if err != nil {
		return fmt.Errorf("ask the director: %v", err)
	}
	return c.ask(ctx, http.MethodPost, path, bytes.NewReader(body), answer)
}

func (c *Client) get(ctx context.Context, path string, answer any) error {
	return c.ask(ctx, http.MethodGet, path, nil, answer)
}

func (c *Client) ask(ctx context.Context, method, path string, body io.Reader, answer any) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://ipvsd"+path, body)
	if err != nil {
		return fmt.Errorf("ask the director: %v", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.explain(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
		return fmt.Errorf("the director answers %s to %s: %s", resp.Status, path, strings.TrimSpace(string(text)))
	}
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
		return fmt.Errorf("read the director's answer to %s: %v", path, err)
	}
	return nil
}

// explain says what a failed connection means and what would help.
func (c *Client) explain(ctx context.Context, err error) error {
	netErr, _ := errors.AsType[net.Error](err)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w (there is no %s); start it with `systemctl start ipvsd` or `ipvsd director`", ErrNoDaemon, c.path)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w (nobody listens on %s); start it with `systemctl start ipvsd` or `ipvsd director`", ErrNoDaemon, c.path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s: permission denied; use root, or join the group with `usermod -aG %s %s` and log in again", c.path, Group, login())
	case netErr != nil && netErr.Timeout():
		return fmt.Errorf("the director doesn't answer on %s within %v; `journalctl -u ipvsd` may say why", c.path, clientTimeout)
	}
	return fmt.Errorf("ask the director on %s: %v", c.path, cause(err))
}

func login() string {
	if name := os.Getenv("USER"); name != "" {
		return name
	}
	return "USER"
}
