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

// Stream asks the director to do something that may take long, copies its text
// to w as it comes, and returns what the director said after it.
func (c *Client) Stream(ctx context.Context, path string, wish any, w io.Writer) (http.Header, error) {
	body, err := json.Marshal(wish)
	if err != nil {
		return nil, fmt.Errorf("ask the director: %v", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://ipvsd"+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("ask the director: %v", err)
	}
	patient := http.Client{Transport: c.http.Transport}
	resp, err := patient.Do(req)
	if err != nil {
		return nil, c.explain(ctx, err)
	}
	defer resp.Body.Close()
	if err := refusal(resp, path); err != nil {
		return nil, err
	}
	if _, err := io.Copy(w, resp.Body); err != nil {
		return nil, fmt.Errorf("read the director's answer to %s: %v", path, err)
	}
	return resp.Trailer, nil
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
	if err := refusal(resp, path); err != nil {
		return err
	}
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
		return fmt.Errorf("read the director's answer to %s: %v", path, err)
	}
	return nil
}

// refusal is what the director says where it doesn't answer.
func refusal(resp *http.Response, path string) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	return fmt.Errorf("the director answers %s to %s: %s", resp.Status, path, strings.TrimSpace(string(text)))
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
