"""The tests of each module: those that know it best, the quickest first. A folder stands for all of its modules."""

from pathlib import PurePath

TARGETS = {
    "__init__.py": "test_house.py test_compiled.py",
    "__main__.py": "cli/test_process.py",
    "cli": "cli",
    "data": "test_invariances.py test_sources.py test_origin.py test_float_range.py test_missing.py test_compiled.py",
    "data/base.py": "test_noise_checked.py test_invariances.py test_sources.py test_origin.py test_noise.py",
    "data/fingerprints.py": "test_fingerprints.py test_checkpoint.py test_sources.py",
    "data/frames.py": "test_numeric.py test_chunk_columns.py test_input_types.py",
    "data/namespaces.py": "test_namespaces.py",
    "data/numeric.py": "test_numeric.py test_input_types.py test_options.py",
    "data/projections.py": "test_noise_checked.py test_noise.py",
    "data/row_info.py": "test_noise.py test_labels.py test_missing.py test_sources_known.py test_background_missing.py",
    "data/row_info_checks.py": "test_noise_checked.py test_noise.py test_labels.py test_input_types.py test_numeric.py",
    "data/squares.py": "test_squares.py test_scales_incomplete.py test_missing.py",
    "data/streams": "test_sources.py test_sources_known.py test_chunk_columns.py test_input_types.py",
    "data/validation.py": "test_initial_parameters.py test_driver.py test_fixed.py test_input_types.py "
    "test_weights.py test_degenerate.py test_numeric.py",
    "datasets": "test_datasets.py cli/test_files.py",
    "em/__init__.py": "test_house.py",
    "em/algorithms": "test_algorithms.py test_boundaries.py test_options.py test_fixed.py",
    "em/algorithms/accelerated.py": "test_acceleration.py test_boundaries.py",
    "em/algorithms/extrapolation.py": "test_extrapolation.py test_acceleration.py test_fixed_point.py",
    "em/callbacks.py": "test_driver.py test_monitors.py",
    "em/convergence.py": "test_convergence.py",
    "em/fixed_point.py": "test_fixed_point.py",
    "em/initialization/__init__.py": "test_house.py",
    "em/initialization/clustering.py": "test_k_means.py test_clustering.py test_initialize.py test_labels.py "
    "test_missing.py test_noise.py",
    "em/initialization/given.py": "test_start_arrays.py",
    "em/initialization/partition.py": "test_k_means.py",
    "em/initialization/start.py": "test_clustering.py test_initialize.py test_against_scikit_learn.py "
    "test_degenerate.py test_background.py",
    "em/latent_rows.py": "test_imputing.py test_noise.py",
    "em/loop.py": "test_driver.py test_degenerate.py",
    "em/parameters.py": "test_gate.py test_fitted_state.py",
    "em/priors.py": "test_priors.py test_priors_kept.py test_background_priors.py",
    "em/problem.py": "test_families.py test_degenerate.py test_priors.py test_sources.py test_noise.py",
    "em/setup.py": "test_origin.py test_scales.py test_sources.py test_sources_known.py test_noise.py test_missing.py",
    "em/subsample.py": "test_initialize.py test_sources.py test_labels.py",
    "em/survey.py": "test_sources.py test_sources_known.py test_origin.py test_noise_checked.py test_float_range.py",
    "em/variational.py": "test_bayesian.py test_bayesian_mixtures.py",
    "engine/__init__.py": "test_house.py",
    "engine/compiled.py": "test_compiled.py test_labels.py",
    "engine/executor.py": "test_compiled.py test_float_range.py test_invariances.py test_every_family.py",
    "engine/helpers.py": "test_helpers.py test_compiled.py",
    "engine/records.py": "test_checkpoint.py test_sources.py test_noise.py",
    "engine/threads.py": "test_threads.py test_compiled.py test_sources.py",
    "engine/tiling.py": "test_tiling.py test_invariances.py",
    "environment.py": "test_compiled.py cli/test_process.py",
    "families": "test_every_family.py test_families.py test_against_scikit_learn.py test_known_answers.py "
    "test_degenerate.py test_fixed.py test_priors.py test_persistence.py",
    "families/_arithmetic.py": "test_factors.py test_families.py",
    "families/_contract.py": "test_families.py test_priors.py test_fixed.py test_missing.py",
    "families/_gaussian.py": "test_families.py test_degenerate.py test_scales.py test_priors.py test_missing.py",
    "families/_gaussian_parameters.py": "test_gate.py",
    "families/_parameters.py": "test_gate.py test_background.py",
    "families/_variational.py": "test_bayesian.py test_bayesian_mixtures.py",
    "families/background.py": "test_background.py test_background_priors.py test_background_missing.py",
    "families/bayesian_gaussian.py": "test_bayesian.py test_bayesian_mixtures.py",
    "families/cells.py": "test_missing.py test_imputing.py",
    "families/incomplete.py": "test_degenerate.py test_noise.py test_missing.py test_imputing.py",
    "families/_gaussian_host.py": "test_conditioning.py test_initial_parameters.py test_every_family.py",
    "families/_host.py": "test_every_family.py",
    "kernels/cache.py": "test_cache_damage.py test_cache.py",
    "kernels/jit.py": "test_threads.py test_compiled.py test_cache.py",
    "mixtures": "test_every_family.py test_house.py test_estimator_checks.py",
    "mixtures/__init__.py": "test_house.py",
    "mixtures/background.py": "test_background.py test_background_kept.py test_background_missing.py",
    "mixtures/base.py": "test_driver.py test_algorithms.py test_checkpoint.py test_persistence.py",
    "mixtures/bayesian_gaussian.py": "test_bayesian_mixtures.py",
    "mixtures/conditioning.py": "test_conditioning.py test_background_kept.py",
    "mixtures/conversion.py": "test_conversion.py",
    "mixtures/counterpart.py": "test_conversion.py",
    "mixtures/fitted.py": "test_fixed.py test_gate.py test_house.py test_weights.py test_known_answers.py "
    "test_background.py",
    "mixtures/gaussian.py": "test_conditioning.py test_against_scikit_learn.py test_scales.py test_driver.py "
    "test_fixed.py test_noise.py test_degenerate.py",
    "mixtures/imputation.py": "test_imputing.py",
    "mixtures/poisson.py": "test_initial_parameters.py test_house.py test_known_answers.py test_degenerate.py "
    "test_conditioning.py",
    "mixtures/stream.py": "test_fitted_state.py test_algorithms.py",
    "mixtures/unfitted.py": "test_driver.py test_fixed.py test_input_types.py test_against_scikit_learn.py "
    "test_background.py",
    "persistence/__init__.py": "test_persistence.py",
    "persistence/checkpoint.py": "test_checkpoint.py test_checkpoint_kinds.py test_checkpoint_damage.py",
    "persistence/checkpoint_format.py": "test_checkpoint_damage.py test_checkpoint.py",
    "persistence/models.py": "test_persistence.py test_persistence_damage.py test_fitted_state.py",
    "persistence/resuming.py": "test_checkpoint_damage.py test_gate.py",
    "plotting/__init__.py": "test_plotting.py",
    "plotting/mixtures.py": "test_plotting.py",
    "plotting/shapes.py": "test_plotting.py",
    "system/__init__.py": "test_house.py",
    "system/claims.py": "test_claims.py test_checkpoint.py",
    "system/interrupts.py": "cli/test_outputs.py test_writing.py",
    "system/permissions.py": "test_writing.py test_faults.py",
    "system/records.py": "test_writing.py test_persistence.py test_persistence_damage.py test_checkpoint.py",
    "system/writing.py": "test_writing.py test_faults.py test_persistence.py",
    "warmup.py": "test_compiled.py",
}


def named_for(path: str) -> list[str]:
    """Files and folders of tests, as pytest takes them, of a module given by its path in the package."""
    known = [str(parent) for parent in (PurePath(path), *PurePath(path).parents) if str(parent) in TARGETS]
    if not known:
        raise LookupError(f"{path} has no tests in tests/mutation/targets.py")
    return [f"tests/{name}" for name in TARGETS[known[0]].split()]
