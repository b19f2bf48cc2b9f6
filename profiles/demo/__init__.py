"""The demo: a synthetic world, its jobs, and the way to run or keep them."""

from profiles.demo.jobs import run_demo, show_money, write_world
from profiles.demo.world import World, build

__all__ = ["World", "build", "run_demo", "show_money", "write_world"]
