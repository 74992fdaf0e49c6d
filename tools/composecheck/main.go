// Command composecheck holds a Compose file against the Compose specification
// (its JSON schema and its rules of consistency) without a container engine,
// and against the files that it mounts and builds from.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/sirupsen/logrus"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: composecheck FILE")
		os.Exit(2)
	}
	logrus.SetOutput(io.Discard) // what the loader warns of, check says as a fault
	if err := check(context.Background(), os.Args[1]); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
	fmt.Printf("%s: valid\n", os.Args[1])
}

// check loads the Compose file with an empty environment: a file that needs a
// variable must say its default.
func check(ctx context.Context, file string) error {
	abs, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	project, err := loader.LoadWithContext(ctx, types.ConfigDetails{
		WorkingDir:  filepath.Dir(abs),
		ConfigFiles: []types.ConfigFile{{Filename: abs}},
		Environment: types.Mapping{},
	}, func(o *loader.Options) { o.SetProjectName("composecheck", true) })
	if err != nil {
		return err
	}
	return errors.Join(missing(project)...)
}

// missing is a fault for each file or folder that a service builds from or
// mounts and that is not there: an engine would make an empty folder in its
// place, and the service would start without its configuration.
func missing(project *types.Project) []error {
	var faults []error
	need := func(service, what, path string) {
		if _, err := os.Stat(path); err != nil {
			faults = append(faults, fmt.Errorf("service %s: %s: %w", service, what, err))
		}
	}
	for name, service := range project.Services {
		if b := service.Build; b != nil {
			need(name, "build", filepath.Join(b.Context, b.Dockerfile))
		}
		for _, v := range service.Volumes {
			if v.Type == types.VolumeTypeBind {
				need(name, "volume", v.Source)
			}
		}
		for _, c := range service.Configs {
			if file := project.Configs[c.Source].File; file != "" {
				need(name, "config", file)
			}
		}
	}
	return faults
}
