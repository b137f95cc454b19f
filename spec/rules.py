"""The table of rules that a JSON Schema cannot state. One generator each; their order does not matter."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from agenttts.spec import (
    rules_agent,
    rules_budget,
    rules_data,
    rules_models,
    rules_plugins,
    rules_stages,
    rules_templates,
)
from agenttts.spec.draft import Draft, Finding

Rule = Callable[[Draft], Iterator[Finding]]

RULES: tuple[Rule, ...] = (
    rules_data.sources_are_safe,
    rules_data.prompt_files_exist,
    rules_data.format_is_known,
    rules_data.rows_are_a_range,
    rules_data.part_fields_are_mapped,
    rules_data.parts_do_not_overlap,
    rules_data.items_fit_the_rows,
    rules_models.keys_fit_the_worker,
    rules_models.api_has_an_address,
    rules_models.address_is_plain,
    rules_models.embedded_size_exists,
    rules_models.samples_tell_models_apart,
    rules_models.nothing_is_secret,
    rules_models.key_name_is_no_secret,
    rules_stages.stage_names_differ,
    rules_stages.needs_exist,
    rules_stages.stages_have_an_order,
    rules_stages.model_stage_is_complete,
    rules_stages.function_stage_is_plain,
    rules_stages.models_exist,
    rules_stages.samples_hold_a_number,
    rules_stages.fusion_keys_fit,
    rules_stages.extra_fields_do_not_clash,
    rules_stages.there_is_something_to_allocate,
    rules_stages.objective_is_scored,
    rules_plugins.plugins_exist,
    rules_plugins.searcher_exists,
    rules_agent.agent_address_is_plain,
    rules_agent.agent_key_name_is_no_secret,
    rules_agent.agent_has_a_price,
    rules_agent.searcher_has_its_agent,
    rules_templates.templates_can_be_read,
    rules_templates.variables_exist,
    rules_templates.item_fields_are_mapped,
    rules_templates.stage_outputs_are_needed,
    rules_templates.filters_exist,
    rules_templates.templates_stand_alone,
    rules_budget.unit_is_available,
    rules_budget.models_can_be_costed,
    rules_budget.limit_of_dollars_can_be_kept,
    rules_budget.stages_plan_their_tokens,
    rules_budget.output_fits_max_tokens,
    rules_budget.prompt_fits_the_context,
)
