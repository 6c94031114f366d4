"""What every part of the science needs: errors, progress, checkpoints, devices, a sandbox for user input."""
