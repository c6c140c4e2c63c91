"""The tests of each module: those that know it best, the quickest first. A folder stands for all of its modules."""

from pathlib import PurePath

TARGETS = {
    "__init__.py": "test_house.py test_compiled.py",
    "__main__.py": "cli/test_process.py",
    "_cache.py": "test_cache_damage.py test_cache.py",
    "_jit.py": "test_threads.py test_compiled.py test_cache.py",
    "_plot_shapes.py": "test_plotting.py",
    "annotating.py": "test_noise_checked.py test_noise.py test_labels.py test_input_types.py test_numeric.py",
    "annotations.py": "test_noise.py test_labels.py test_missing.py test_sources_known.py test_background_missing.py",
    "background.py": "test_background.py test_background_kept.py test_background_missing.py",
    "callbacks.py": "test_driver.py test_monitors.py",
    "checkpoint.py": "test_checkpoint.py test_checkpoint_kinds.py test_checkpoint_damage.py",
    "checkpoint_format.py": "test_checkpoint_damage.py test_checkpoint.py",
    "checks.py": "test_initial_parameters.py test_driver.py test_fixed.py test_input_types.py test_weights.py "
    "test_degenerate.py test_numeric.py",
    "claims.py": "test_claims.py test_checkpoint.py",
    "cli": "cli",
    "clustering.py": "test_k_means.py test_clustering.py test_initialize.py test_labels.py test_missing.py "
    "test_noise.py",
    "compiled.py": "test_compiled.py test_labels.py",
    "conditioning.py": "test_conditioning.py test_background_kept.py",
    "datasets": "test_datasets.py cli/test_files.py",
    "driver.py": "test_driver.py test_degenerate.py",
    "environment.py": "test_compiled.py cli/test_process.py",
    "extrapolation.py": "test_extrapolation.py test_acceleration.py test_fixed_point.py",
    "families/_arithmetic.py": "test_factors.py test_families.py",
    "families/_contract.py": "test_families.py test_priors.py test_fixed.py test_missing.py",
    "families/_gaussian.py": "test_families.py test_degenerate.py test_scales.py test_priors.py test_missing.py",
    "families/_gaussian_parameters.py": "test_gate.py",
    "families/_parameters.py": "test_gate.py test_background.py",
    "families/background.py": "test_background.py test_background_priors.py test_background_missing.py",
    "families/cells.py": "test_missing.py test_imputing.py",
    "families/incomplete.py": "test_degenerate.py test_noise.py test_missing.py test_imputing.py",
    "families": "test_families.py test_against_scikit_learn.py test_known_answers.py test_degenerate.py test_fixed.py "
    "test_priors.py test_persistence.py",
    "fingerprints.py": "test_fingerprints.py test_checkpoint.py test_sources.py",
    "fitted.py": "test_fixed.py test_gate.py test_house.py test_weights.py test_known_answers.py test_background.py",
    "frames.py": "test_numeric.py test_chunk_columns.py test_input_types.py",
    "gaussian_mixture.py": "test_conditioning.py test_against_scikit_learn.py test_scales.py test_driver.py "
    "test_fixed.py test_noise.py test_degenerate.py",
    "helpers.py": "test_helpers.py test_compiled.py",
    "imputing.py": "test_imputing.py",
    "initialize.py": "test_clustering.py test_initialize.py test_against_scikit_learn.py test_degenerate.py "
    "test_background.py",
    "interrupts.py": "cli/test_outputs.py test_writing.py",
    "iteration.py": "test_fixed_point.py",
    "latent.py": "test_imputing.py test_noise.py",
    "mixture.py": "test_driver.py test_algorithms.py test_checkpoint.py test_persistence.py",
    "numeric.py": "test_numeric.py test_input_types.py test_options.py",
    "parameters.py": "test_gate.py test_fitted_state.py",
    "partition.py": "test_k_means.py",
    "permissions.py": "test_writing.py test_faults.py",
    "persistence.py": "test_persistence.py test_persistence_damage.py test_fitted_state.py",
    "plotting.py": "test_plotting.py",
    "poisson_mixture.py": "test_initial_parameters.py test_house.py test_known_answers.py test_degenerate.py "
    "test_conditioning.py",
    "posing.py": "test_origin.py test_scales.py test_sources.py test_sources_known.py test_noise.py test_missing.py",
    "priors.py": "test_priors.py test_priors_kept.py test_background_priors.py",
    "problem.py": "test_families.py test_degenerate.py test_priors.py test_sources.py test_noise.py",
    "projecting.py": "test_noise_checked.py test_noise.py",
    "reading": "test_sources.py test_sources_known.py test_chunk_columns.py test_input_types.py",
    "records.py": "test_writing.py test_persistence.py test_persistence_damage.py test_checkpoint.py",
    "resuming.py": "test_checkpoint_damage.py test_gate.py",
    "samples.py": "test_initialize.py test_sources.py test_labels.py",
    "schemes/accelerated.py": "test_acceleration.py test_boundaries.py",
    "schemes": "test_algorithms.py test_boundaries.py test_options.py test_fixed.py",
    "sources/_contract.py": "test_noise_checked.py test_invariances.py test_sources.py test_origin.py test_noise.py",
    "sources/tiling.py": "test_tiling.py test_invariances.py",
    "sources/squares.py": "test_squares.py test_scales_incomplete.py test_missing.py",
    "sources": "test_invariances.py test_sources.py test_origin.py test_float_range.py test_missing.py "
    "test_compiled.py",
    "stream.py": "test_fitted_state.py test_algorithms.py",
    "surveying.py": "test_sources.py test_sources_known.py test_origin.py test_noise_checked.py test_float_range.py",
    "threads.py": "test_threads.py test_compiled.py test_sources.py",
    "unfitted.py": "test_driver.py test_fixed.py test_input_types.py test_against_scikit_learn.py test_background.py",
    "warmup.py": "test_compiled.py",
    "writing.py": "test_writing.py test_faults.py test_persistence.py",
}


def named_for(path: str) -> list[str]:
    """Files and folders of tests, as pytest takes them, of a module given by its path in the package."""
    known = [str(parent) for parent in (PurePath(path), *PurePath(path).parents) if str(parent) in TARGETS]
    if not known:
        raise LookupError(f"{path} has no tests in tests/mutation/targets.py")
    return [f"tests/{name}" for name in TARGETS[known[0]].split()]
