"""Prints each scenario for CTest: its name, its machine (fast or full) and its time limit in seconds."""

import ast
import pathlib

for file in sorted(pathlib.Path(__file__).parent.glob("test_*.py")):
    for cls in ast.parse(file.read_text()).body:
        if not isinstance(cls, ast.ClassDef):
            continue
        tier, limit = "fast", 120
        for item in cls.body:
            if isinstance(item, ast.Assign) and item.targets[0].id == "machine_tier":
                tier = item.value.value
            if isinstance(item, ast.Assign) and item.targets[0].id == "time_limit":
                limit = item.value.value
        for item in cls.body:
            if isinstance(item, ast.FunctionDef) and item.name.startswith("test_"):
                print(f"{file.stem}.{cls.name}.{item.name} {tier} {limit}")
