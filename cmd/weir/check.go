package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/weirgate/weir/cmd/weir/app"
	"github.com/weirgate/weir/config"
)

func newCheck() *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "Validate a configuration and print what it comes to, secrets masked",
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			loaded, err := app.Load(&config.Source{Path: args[0], Environ: os.Environ()})
			if err != nil {
				return err
			}
			for _, w := range loaded.Warnings {
				fmt.Fprintln(cmd.ErrOrStderr(), "warning:", w)
			}
			_, err = cmd.OutOrStdout().Write(loaded.Effective())
			return err
		},
	}
}
